/* What the test programs share: checks, and an agent at work. */
#ifndef T_H
#define T_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "regauth.h"

#define T_NOW 1795341600000u

/* Goes on after a failure, so that one run shows all of them. */
static int t_failed;
#define CHECK(what)                                                          \
  do {                                                                       \
    if (!(what)) {                                                           \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #what);   \
      t_failed++;                                                            \
    }                                                                        \
  } while (0)

#define IS(call, wanted)                                                            \
  do {                                                                              \
    regauth_status t_came = (call);                                                 \
    if (t_came != (wanted)) {                                                       \
      fprintf(stderr, "%s:%d: %s: came %s, not %s\n", __FILE__, __LINE__, #call,    \
              regauth_status_name(t_came), regauth_status_name(wanted));            \
      t_failed++;                                                                   \
    }                                                                               \
  } while (0)

#define OK(call) IS(call, REGAUTH_OK)

static inline int t_end(const char *name) {
  if (t_failed) fprintf(stderr, "%s: %d checks failed\n", name, t_failed);
  return t_failed ? 1 : 0;
}

static inline int t_is(regauth_bytes bytes, const char *text) {
  return bytes.len == strlen(text) && memcmp(bytes.ptr, text, bytes.len) == 0;
}

static inline int t_has(regauth_bytes bytes, const char *text) {
  size_t len = strlen(text), i;
  for (i = 0; i + len <= bytes.len; i++)
    if (memcmp(bytes.ptr + i, text, len) == 0) return 1;
  return 0;
}

static inline regauth_step t_poll(regauth_flow *flow, uint64_t now) {
  regauth_step step = {.struct_size = sizeof step};
  OK(regauth_flow_poll(flow, now, &step));
  return step;
}

/* The value of a header field of a step, or nothing. */
static inline regauth_bytes t_field(const regauth_step *step, const char *name) {
  regauth_bytes none = {NULL, 0};
  size_t i;
  for (i = 0; i < step->headers_len; i++)
    if (t_is(step->headers[i].name, name)) return step->headers[i].value;
  return none;
}

static inline void t_answer(regauth_flow *flow, uint64_t now, uint32_t status, const char *name, const char *value,
                            const char *body) {
  regauth_header field = {regauth_text(name), regauth_text(value)};
  regauth_answer answer = {.struct_size = sizeof answer,
                           .status = status,
                           .headers = &field,
                           .headers_len = name ? 1 : 0,
                           .body = regauth_text(body)};
  OK(regauth_flow_answer(flow, now, &answer));
}

#define T_REGISTRY "https://reg.example"
#define T_MANIFEST "https://reg.example/v2/app/manifests/1"
#define T_CHALLENGE "Bearer realm=\"https://reg.example/token\",service=\"reg\",scope=\"repository:app:pull\""

/* An agent with a password for the registry. */
static inline regauth_agent *t_agent(void) {
  regauth_config *config = NULL;
  regauth_agent *agent = NULL;
  OK(regauth_config_new(&config));
  OK(regauth_config_credentials(config, REGAUTH_STR(T_REGISTRY), REGAUTH_CREDENTIALS_BASIC, REGAUTH_STR("u"),
                                REGAUTH_STR("pw-canary")));
  OK(regauth_agent_new(config, &agent));
  regauth_config_free(config);
  return agent;
}

static inline regauth_flow *t_flow(regauth_agent *agent, const char *url) {
  regauth_flow *flow = NULL;
  OK(regauth_agent_request(agent, REGAUTH_STR("GET"), REGAUTH_STR(url), &flow, NULL));
  return flow;
}

/* Challenge, token, answer. */
static inline void t_warm(regauth_agent *agent, uint64_t now) {
  regauth_flow *flow = t_flow(agent, T_MANIFEST);
  CHECK(t_poll(flow, now).hop == REGAUTH_HOP_REGISTRY);
  t_answer(flow, now, 401, "WWW-Authenticate", T_CHALLENGE, NULL);
  CHECK(t_poll(flow, now).hop == REGAUTH_HOP_TOKEN);
  t_answer(flow, now, 200, NULL, NULL, "{\"token\":\"T\",\"expires_in\":300}");
  regauth_step step = t_poll(flow, now);
  CHECK(t_is(t_field(&step, "Authorization"), "Bearer T"));
  t_answer(flow, now, 200, NULL, NULL, NULL);
  CHECK(t_poll(flow, now).kind == REGAUTH_STEP_DONE);
  regauth_flow_free(flow);
}

#endif

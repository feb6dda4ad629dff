/* What must not be done and is not undefined: NULL everywhere, wrong order, use after failure, calls from callbacks. */
#include "t.h"

#define N ((void *)0)

static void null_everywhere(void) {
  regauth_agent *agent = t_agent();
  regauth_config *config = N;
  regauth_identity *identity = N;
  regauth_referrer *referrer = N;
  OK(regauth_config_new(&config));
  OK(regauth_identity_named(N, 0, N, &identity));
  OK(regauth_referrer_registry(REGAUTH_STR(T_REGISTRY), &referrer, N));
  regauth_flow *flow = t_flow(agent, T_MANIFEST);
  char buf[8];
  size_t len;
  uint32_t number;

  IS(regauth_identity_named(REGAUTH_STR("x"), N, N), REGAUTH_NULL);
  IS(regauth_identity_named(N, 1, N, &identity), REGAUTH_NULL);
  IS(regauth_identity_get(N, N), REGAUTH_NULL);
  IS(regauth_identity_get(identity, N), REGAUTH_NULL);
  CHECK(regauth_identity_retain(N) == N);
  regauth_identity_free(N);

  IS(regauth_config_new(N), REGAUTH_NULL);
  IS(regauth_config_host(N, N, 0, N), REGAUTH_NULL);
  IS(regauth_config_host(config, N, 0, N), REGAUTH_NULL);
  regauth_host host = {.struct_size = sizeof host, .identities_len = 1};
  IS(regauth_config_host(config, REGAUTH_STR(T_REGISTRY), &host), REGAUTH_NULL);
  const regauth_identity *none[] = {N};
  host.identities = none;
  IS(regauth_config_host(config, REGAUTH_STR(T_REGISTRY), &host), REGAUTH_NULL);
  IS(regauth_config_default_host(N, N), REGAUTH_NULL);
  IS(regauth_config_default_host(config, N), REGAUTH_NULL);
  IS(regauth_config_roots(N, 0, N, 0), REGAUTH_NULL);
  IS(regauth_config_roots(config, REGAUTH_ROOTS_PEM, N, 1), REGAUTH_NULL);
  IS(regauth_config_pair(N, N, 0, 0, N, 0, 0), REGAUTH_NULL);
  IS(regauth_config_credentials(N, N, 0, 0, N, 0, N, 0), REGAUTH_NULL);
  IS(regauth_config_credentials(config, N, 0, 1, N, 1, N, 0), REGAUTH_NULL);
  IS(regauth_config_ask(N, N, 0), REGAUTH_NULL);
  IS(regauth_config_option(N, 1, 1), REGAUTH_NULL);
  IS(regauth_config_error(N, N), REGAUTH_NULL);
  regauth_config_free(N);

  IS(regauth_agent_new(N, N), REGAUTH_NULL);
  IS(regauth_agent_new(config, N), REGAUTH_NULL);
  IS(regauth_agent_replace(N, N), REGAUTH_NULL);
  IS(regauth_agent_replace(agent, N), REGAUTH_NULL);
  CHECK(regauth_agent_retain(N) == N);
  regauth_agent_free(N);
  IS(regauth_authorize(N, 0, N, 0, N, 0, N, 0, N), REGAUTH_NULL);
  IS(regauth_authorize(agent, 0, N, 0, N, 0, N, 0, N), REGAUTH_NULL);
  IS(regauth_authorize(agent, 0, N, 0, N, 0, N, 1, &len), REGAUTH_NULL);
  IS(regauth_authorize(agent, 0, N, 0, N, 0, N, 0, &len), REGAUTH_NONE);
  IS(regauth_agent_request(N, N, 0, N, 0, N, N), REGAUTH_NULL);
  IS(regauth_agent_request(agent, N, 0, N, 0, N, N), REGAUTH_NULL);
  IS(regauth_agent_referred(N, N, 0, N, 0, N, 0, N, N), REGAUTH_NULL);
  regauth_flow *never = N;
  IS(regauth_agent_referred(agent, N, 1, N, 0, N, 0, &never, N), REGAUTH_NULL);
  IS(regauth_agent_due(N, 0, N), REGAUTH_NULL);
  IS(regauth_agent_due(agent, 0, N), REGAUTH_NULL);
  IS(regauth_agent_profile(N, 0, N), REGAUTH_NULL);
  IS(regauth_agent_profile(agent, 0, N), REGAUTH_NULL);
  IS(regauth_agent_newest(N, 0, N, N), REGAUTH_NULL);
  IS(regauth_agent_newest(agent, 0, &number, N), REGAUTH_NULL);
  IS(regauth_referrer_registry(N, 0, N, N), REGAUTH_NULL);
  CHECK(regauth_referrer_retain(N) == N);
  regauth_referrer_free(N);

  IS(regauth_profile_new(N, N), REGAUTH_NULL);
  IS(regauth_profile_get(N, N), REGAUTH_NULL);
  IS(regauth_profile_root(N, 0, N), REGAUTH_NULL);
  IS(regauth_profile_alpn(N, 0, N), REGAUTH_NULL);
  IS(regauth_profile_identity(N, 0, N), REGAUTH_NULL);
  IS(regauth_profile_choose(N, 0, N, 0, N, 0, N, N, 0, N), REGAUTH_NULL);
  CHECK(regauth_profile_retain(N) == N);
  regauth_profile_free(N);

  IS(regauth_flow_scope(N, N, 0), REGAUTH_NULL);
  IS(regauth_flow_redirects(N, 0), REGAUTH_NULL);
  IS(regauth_flow_on_wake(N, N, N, N), REGAUTH_NULL);
  IS(regauth_flow_poll(N, 0, N), REGAUTH_NULL);
  IS(regauth_flow_poll(flow, 0, N), REGAUTH_NULL);
  IS(regauth_flow_dial(N, N, 0), REGAUTH_NULL);
  IS(regauth_flow_dial(flow, N, 4), REGAUTH_NULL);
  IS(regauth_flow_dial_proxied(N), REGAUTH_NULL);
  IS(regauth_flow_answer(N, 0, N), REGAUTH_NULL);
  IS(regauth_flow_answer(flow, 0, N), REGAUTH_NULL);
  regauth_answer answer = {.struct_size = sizeof answer, .status = 200, .headers_len = 1};
  IS(regauth_flow_answer(flow, 0, &answer), REGAUTH_NULL);
  regauth_header field = {{N, 1}, {N, 0}};
  answer.headers = &field;
  IS(regauth_flow_answer(flow, 0, &answer), REGAUTH_NULL);
  field.name.len = 0;
  field.value.len = 1;
  IS(regauth_flow_answer(flow, 0, &answer), REGAUTH_NULL);
  IS(regauth_flow_credentials(N, 0, 0, N, 0, N, 0, 0), REGAUTH_NULL);
  IS(regauth_flow_helper_failed(N, 0, N, 0), REGAUTH_NULL);
  IS(regauth_flow_failed(N, 0, 1, N), REGAUTH_NULL);
  IS(regauth_flow_error(N, N), REGAUTH_NULL);
  IS(regauth_flow_explain(N, N, 0, N), REGAUTH_NULL);
  IS(regauth_flow_explain(flow, N, 0, N), REGAUTH_NULL);
  IS(regauth_flow_referrer(N, N), REGAUTH_NULL);
  IS(regauth_flow_referrer(flow, N), REGAUTH_NULL);
  regauth_flow_free(N);

  IS(regauth_challenges_parse(N, 0, N, N), REGAUTH_NULL);
  IS(regauth_challenges_get(N, 0, N), REGAUTH_NULL);
  regauth_challenges_free(N);
  IS(regauth_scope_needed(N, 0, N, 0, N, 0, N), REGAUTH_NULL);
  IS(regauth_scope_merge(N, 0, N, 0, N), REGAUTH_NULL);
  IS(regauth_scope_covers(N, 0, N, 0, N), REGAUTH_NULL);
  IS(regauth_reference_parse(N, 0, N, N), REGAUTH_NULL);
  IS(regauth_reference_get(N, N), REGAUTH_NULL);
  regauth_reference_free(N);
  IS(regauth_origin_parse(N, 0, N, 0, N, N), REGAUTH_NULL);
  IS(regauth_error_get(N, N), REGAUTH_NULL);
  regauth_error_free(N);
  IS(regauth_evidence_failure(N, 1, &number), REGAUTH_NULL);
  IS(regauth_scope_merge(N, 0, buf, sizeof buf, &len), REGAUTH_OK);

  /* None of that has touched the flow. */
  CHECK(t_poll(flow, T_NOW).kind == REGAUTH_STEP_SEND);
  regauth_flow_free(flow);
  regauth_referrer_free(referrer);
  regauth_identity_free(identity);
  regauth_config_free(config);
  regauth_agent_free(agent);
}

static void bad_numbers(void) {
  regauth_agent *agent = t_agent();
  regauth_flow *flow = t_flow(agent, T_MANIFEST), *other = N;
  regauth_referrer *by = N;
  OK(regauth_flow_referrer(flow, &by));
  for (uint32_t hop = 7; hop; hop = hop == 7 ? UINT32_MAX : 0)
    IS(regauth_agent_referred(agent, by, hop, REGAUTH_STR("GET"), REGAUTH_STR(T_MANIFEST), &other, N), REGAUTH_INPUT);
  IS(regauth_flow_redirects(flow, 2), REGAUTH_INPUT);
  IS(regauth_flow_scope(flow, REGAUTH_STR("")), REGAUTH_INPUT);
  IS(regauth_flow_scope(flow, "\xff", 1), REGAUTH_INPUT);
  t_poll(flow, T_NOW);
  IS(regauth_flow_dial(flow, "12345", 5), REGAUTH_INPUT);
  IS(regauth_flow_failed(flow, T_NOW, 0, N), REGAUTH_INPUT);
  IS(regauth_flow_failed(flow, T_NOW, 9, N), REGAUTH_INPUT);
  regauth_evidence seen = {.struct_size = sizeof seen, .shown = 4};
  IS(regauth_flow_failed(flow, T_NOW, 1, &seen), REGAUTH_INPUT);
  seen.shown = REGAUTH_SHOWN_PAIR; /* without its two lines */
  IS(regauth_flow_failed(flow, T_NOW, 1, &seen), REGAUTH_INPUT);
  seen.shown = 0;
  seen.alert = 256;
  IS(regauth_flow_failed(flow, T_NOW, 1, &seen), REGAUTH_INPUT);
  seen.alert = 0;
  seen.version = 3;
  IS(regauth_flow_failed(flow, T_NOW, 1, &seen), REGAUTH_INPUT);
  seen.version = 0;
  seen.flags = 16;
  IS(regauth_flow_failed(flow, T_NOW, 1, &seen), REGAUTH_INPUT);
  IS(regauth_flow_credentials(flow, T_NOW, 4, N, 0, N, 0, 0), REGAUTH_INPUT);
  regauth_answer answer = {.struct_size = sizeof answer, .status = 65536};
  IS(regauth_flow_answer(flow, T_NOW, &answer), REGAUTH_INPUT);
  answer.status = 200;
  answer.body = (regauth_bytes){"x", SIZE_MAX};
  IS(regauth_flow_answer(flow, T_NOW, &answer), REGAUTH_INPUT);
  answer.body = (regauth_bytes){N, 0};
  answer.headers = (const regauth_header *)8;
  answer.headers_len = SIZE_MAX / 8;
  IS(regauth_flow_answer(flow, T_NOW, &answer), REGAUTH_INPUT);
  CHECK(t_poll(flow, T_NOW).kind == REGAUTH_STEP_SEND);

  regauth_error *error = N;
  regauth_error_info why = {.struct_size = sizeof why};
  IS(regauth_agent_request(agent, REGAUTH_STR("G T"), REGAUTH_STR(T_MANIFEST), &other, &error), REGAUTH_FAILED);
  OK(regauth_error_get(error, &why));
  CHECK(why.kind == REGAUTH_ERROR_METHOD && other == N);
  regauth_error_free(error);
  IS(regauth_agent_request(agent, REGAUTH_STR("GET"), REGAUTH_STR("reg.example"), &other, &error), REGAUTH_FAILED);
  regauth_error_free(error);
  IS(regauth_agent_request(agent, REGAUTH_STR("GET"), REGAUTH_STR("reg.example"), &other, N), REGAUTH_FAILED);
  IS(regauth_agent_request(agent, "\xc3\x28", 2, REGAUTH_STR(T_MANIFEST), &other, N), REGAUTH_INPUT);
  regauth_referrer_free(by);
  regauth_flow_free(flow);
  regauth_agent_free(agent);
}

static void wrong_order(void) {
  regauth_agent *agent = t_agent();
  regauth_error_info why = {.struct_size = sizeof why};
  for (int call = 0; call < 5; call++) {
    regauth_flow *flow = t_flow(agent, T_MANIFEST);
    if (call == 4) t_poll(flow, T_NOW);
    switch (call) {
      case 0: t_answer(flow, T_NOW, 200, N, N, N); break;
      case 1: OK(regauth_flow_failed(flow, T_NOW, REGAUTH_FAILURE_RESET, N)); break;
      case 2: OK(regauth_flow_helper_failed(flow, T_NOW, REGAUTH_STR("x"))); break;
      case 3: IS(regauth_flow_dial(flow, "\x7f\0\0\1", 4), REGAUTH_FAILED); break;
      default: OK(regauth_flow_credentials(flow, T_NOW, 0, N, 0, N, 0, 0));
    }
    if (call == 3) {
      CHECK(t_poll(flow, T_NOW).kind == REGAUTH_STEP_SEND); /* a question, not an answer */
    } else {
      CHECK(t_poll(flow, T_NOW).kind == REGAUTH_STEP_FAILED);
      OK(regauth_flow_error(flow, &why));
      CHECK(why.kind == REGAUTH_ERROR_MISUSE && why.fault == REGAUTH_FAULT_LOCAL);
      /* After failure every call is a no-op. */
      t_answer(flow, T_NOW, 200, N, N, N);
      OK(regauth_flow_failed(flow, T_NOW, REGAUTH_FAILURE_RESET, N));
      OK(regauth_flow_credentials(flow, T_NOW, 0, N, 0, N, 0, 0));
      CHECK(t_poll(flow, T_NOW).kind == REGAUTH_STEP_FAILED);
      OK(regauth_flow_error(flow, &why));
      CHECK(why.kind == REGAUTH_ERROR_MISUSE);
    }
    regauth_flow_free(flow);
  }
  regauth_agent_free(agent);
}

/* Calls back in, with the flow that wakes and with the one that is woken. */
typedef struct {
  regauth_agent *agent;
  regauth_flow *answered, *woken;
  int calls, free_it;
} intruder;

static void intrude(void *arg) {
  intruder *in = arg;
  regauth_step step = {.struct_size = sizeof step};
  in->calls++;
  IS(regauth_flow_poll(in->answered, T_NOW, &step), REGAUTH_MISUSE);
  IS(regauth_flow_failed(in->answered, T_NOW, REGAUTH_FAILURE_RESET, N), REGAUTH_MISUSE);
  if (in->free_it) {
    regauth_flow_free(in->answered);
    regauth_flow_free(in->answered); /* while a call is inside, this is not yet use after free */
  }
  /* Another object is another matter. */
  OK(regauth_flow_poll(in->woken, T_NOW, &step));
  char buf[64];
  size_t len;
  (void)regauth_authorize(in->agent, T_NOW, REGAUTH_STR("GET"), REGAUTH_STR(T_MANIFEST), buf, sizeof buf, &len);
}

static void calls_from_callbacks(int free_it) {
  intruder in = {.agent = t_agent(), .free_it = free_it};
  in.answered = t_flow(in.agent, T_MANIFEST);
  in.woken = t_flow(in.agent, T_MANIFEST);
  OK(regauth_flow_on_wake(in.woken, intrude, &in, N));
  t_poll(in.answered, T_NOW);
  t_poll(in.woken, T_NOW);
  t_answer(in.answered, T_NOW, 401, "WWW-Authenticate", T_CHALLENGE, N);
  t_answer(in.woken, T_NOW, 401, "WWW-Authenticate", T_CHALLENGE, N);
  CHECK(t_poll(in.answered, T_NOW).hop == REGAUTH_HOP_TOKEN);
  CHECK(t_poll(in.woken, T_NOW).kind == REGAUTH_STEP_WAIT);
  t_answer(in.answered, T_NOW, 200, N, N, "{\"token\":\"T\",\"expires_in\":300}");
  CHECK(in.calls == 1);
  if (!free_it) {
    CHECK(t_poll(in.answered, T_NOW).kind == REGAUTH_STEP_SEND);
    regauth_flow_free(in.answered);
  }
  regauth_flow_free(in.woken);
  regauth_agent_free(in.agent);
}

int main(void) {
  null_everywhere();
  bad_numbers();
  wrong_order();
  calls_from_callbacks(0);
  calls_from_callbacks(1);
  return t_end("misuse");
}

/* Flows of one agent, from challenge to answer, with every call of layer a. */
#include "t.h"

static regauth_bytes explain(regauth_flow *flow, char *buf, size_t cap) {
  regauth_bytes text = {buf, 0};
  OK(regauth_flow_explain(flow, buf, cap, &text.len));
  return text;
}

static void warm(void) {
  regauth_agent *agent = t_agent();
  char buf[4096];
  size_t len = 0;
  IS(regauth_authorize(agent, T_NOW, REGAUTH_STR("GET"), REGAUTH_STR(T_MANIFEST), buf, sizeof buf, &len),
     REGAUTH_NONE);
  t_warm(agent, T_NOW);
  OK(regauth_authorize(agent, T_NOW, REGAUTH_STR("GET"), REGAUTH_STR(T_MANIFEST), buf, sizeof buf, &len));
  CHECK(t_is((regauth_bytes){buf, len}, "Bearer T"));
  len = 0;
  IS(regauth_authorize(agent, T_NOW, REGAUTH_STR("GET"), REGAUTH_STR(T_MANIFEST), buf, 7, &len), REGAUTH_SPACE);
  CHECK(len == 8);
  IS(regauth_authorize(agent, T_NOW, REGAUTH_STR("GET"), REGAUTH_STR(T_MANIFEST), NULL, 0, &len), REGAUTH_SPACE);
  IS(regauth_authorize(agent, T_NOW, REGAUTH_STR("PUT"), REGAUTH_STR(T_MANIFEST), buf, sizeof buf, &len),
     REGAUTH_NONE);

  /* In use and late: a renewal is due, once. */
  regauth_flow *renewal = NULL, *second = NULL;
  IS(regauth_agent_due(agent, T_NOW, &renewal), REGAUTH_NONE);
  OK(regauth_agent_due(agent, T_NOW + 255000, &renewal));
  CHECK(t_poll(renewal, T_NOW + 255000).hop == REGAUTH_HOP_TOKEN);
  IS(regauth_agent_due(agent, T_NOW + 255000, &second), REGAUTH_NONE);
  t_answer(renewal, T_NOW + 255000, 200, NULL, NULL, "{\"token\":\"U\",\"expires_in\":300}");
  CHECK(t_poll(renewal, T_NOW + 255000).kind == REGAUTH_STEP_DONE);
  regauth_flow_free(renewal);
  OK(regauth_authorize(agent, T_NOW + 255000, REGAUTH_STR("GET"), REGAUTH_STR(T_MANIFEST), buf, sizeof buf, &len));
  CHECK(t_is((regauth_bytes){buf, len}, "Bearer U"));
  regauth_agent_free(agent);
}

static void cold(void) {
  regauth_agent *agent = t_agent();
  regauth_flow *flow = NULL;
  char buf[4096];
  OK(regauth_agent_request(agent, REGAUTH_STR("PUT"), REGAUTH_STR("https://reg.example/v2/app/manifests/1"), &flow,
                           NULL));
  OK(regauth_flow_scope(flow, REGAUTH_STR("repository:base:pull")));
  regauth_step step = t_poll(flow, T_NOW);
  CHECK(step.kind == REGAUTH_STEP_SEND && step.hop == REGAUTH_HOP_REGISTRY && step.https == 1 && step.port == 443);
  CHECK(t_is(step.method, "PUT") && t_is(step.url, "https://reg.example/v2/app/manifests/1"));
  CHECK(t_is(step.origin, T_REGISTRY) && t_is(step.host, "reg.example") && step.body == REGAUTH_BODY_APP);
  CHECK(step.identity.ptr == NULL && step.answer_at_most == 0);
  regauth_step again = t_poll(flow, T_NOW);
  CHECK(again.kind == step.kind && t_is(again.url, "https://reg.example/v2/app/manifests/1"));
  t_answer(flow, T_NOW, 401, "WWW-Authenticate", T_CHALLENGE, NULL);
  step = t_poll(flow, T_NOW);
  CHECK(step.hop == REGAUTH_HOP_TOKEN && step.body == REGAUTH_BODY_NONE && step.answer_at_most > 1000);
  CHECK(t_has(step.url, "repository%3Aapp") || t_has(step.url, "repository:app"));
  CHECK(t_has(step.url, "base"));
  t_answer(flow, T_NOW, 200, NULL, NULL, "{\"token\":\"T\",\"expires_in\":300}");
  step = t_poll(flow, T_NOW);
  CHECK(step.body == REGAUTH_BODY_APP_AGAIN);
  t_answer(flow, T_NOW, 201, NULL, NULL, NULL);
  step = t_poll(flow, T_NOW);
  CHECK(step.kind == REGAUTH_STEP_DONE && step.status == 201 && step.mount_denied == 0);
  regauth_bytes said = explain(flow, buf, sizeof buf);
  CHECK(t_has(said, "401") && t_has(said, T_REGISTRY) && !t_has(said, "pw-canary"));
  size_t len = 0;
  IS(regauth_flow_explain(flow, buf, 3, &len), REGAUTH_SPACE);
  CHECK(len == said.len);

  /* A URL of the answer. */
  regauth_referrer *by = NULL;
  OK(regauth_flow_referrer(flow, &by));
  regauth_flow_free(flow);
  OK(regauth_agent_referred(agent, by, REGAUTH_HOP_UPLOAD, REGAUTH_STR("PATCH"),
                            REGAUTH_STR("https://blobs.example/x?sig=1"), &flow, NULL));
  step = t_poll(flow, T_NOW);
  CHECK(step.hop == REGAUTH_HOP_UPLOAD && step.headers_len == 0);
  IS(regauth_flow_dial(flow, "\x7f\0\0\1", 4), REGAUTH_FAILED);
  regauth_error_info why = {.struct_size = sizeof why};
  OK(regauth_flow_error(flow, &why));
  CHECK(why.fault == REGAUTH_FAULT_POLICY && why.kind == REGAUTH_ERROR_ADDRESS && t_has(why.what, "127.0.0.1"));
  OK(regauth_flow_dial(flow, "\x08\x08\x08\x08", 4));
  OK(regauth_flow_dial(flow, "\x20\x01\x48\x60\x48\x60\0\0\0\0\0\0\0\0\x88\x88", 16));
  OK(regauth_flow_dial_proxied(flow));
  OK(regauth_flow_failed(flow, T_NOW, REGAUTH_FAILURE_CONNECT, NULL));
  CHECK(t_poll(flow, T_NOW).kind == REGAUTH_STEP_FAILED);
  OK(regauth_flow_error(flow, &why));
  regauth_flow_free(flow);
  regauth_referrer_free(regauth_referrer_retain(by));
  regauth_referrer_free(by);

  OK(regauth_referrer_registry(REGAUTH_STR(T_REGISTRY), &by, NULL));
  OK(regauth_agent_referred(agent, by, REGAUTH_HOP_LAYER, REGAUTH_STR("GET"), REGAUTH_STR("http://plain.example/x"),
                            &flow, NULL));
  CHECK(t_poll(flow, T_NOW).kind == REGAUTH_STEP_FAILED);
  OK(regauth_flow_error(flow, &why));
  CHECK(why.fault == REGAUTH_FAULT_POLICY && why.hop == REGAUTH_HOP_LAYER && t_is(why.origin, "http://plain.example"));
  regauth_flow_free(flow);
  regauth_referrer_free(by);
  regauth_agent_free(agent);
}

static void redirected(uint32_t who) {
  regauth_agent *agent = t_agent();
  regauth_flow *flow = t_flow(agent, "https://reg.example/v2/app/blobs/sha256:0");
  OK(regauth_flow_redirects(flow, who));
  t_poll(flow, T_NOW);
  t_answer(flow, T_NOW, 307, "Location", "https://blobs.example/x", NULL);
  regauth_step step = t_poll(flow, T_NOW);
  if (who == REGAUTH_REDIRECTS_HOST)
    CHECK(step.kind == REGAUTH_STEP_DONE && step.status == 307);
  else
    CHECK(step.hop == REGAUTH_HOP_REDIRECT && t_is(step.origin, "https://blobs.example"));
  regauth_flow_free(flow);
  regauth_agent_free(agent);
}

static void asked(void) {
  regauth_config *config = NULL;
  regauth_agent *agent = NULL;
  OK(regauth_config_new(&config));
  OK(regauth_config_ask(config, REGAUTH_STR(T_REGISTRY)));
  OK(regauth_agent_new(config, &agent));
  for (int round = 0; round < 3; round++) {
    regauth_flow *flow = t_flow(agent, T_MANIFEST);
    if (t_poll(flow, T_NOW).kind == REGAUTH_STEP_SEND)
      t_answer(flow, T_NOW, 401, "WWW-Authenticate", T_CHALLENGE, NULL);
    regauth_step step = t_poll(flow, T_NOW);
    CHECK(step.kind == REGAUTH_STEP_CREDENTIALS && t_is(step.registry, T_REGISTRY));
    if (round == 0) {
      OK(regauth_flow_helper_failed(flow, T_NOW, REGAUTH_STR("it crashed")));
      step = t_poll(flow, T_NOW);
      regauth_error_info why = {.struct_size = sizeof why};
      OK(regauth_flow_error(flow, &why));
      CHECK(step.kind == REGAUTH_STEP_FAILED && why.kind == REGAUTH_ERROR_HELPER && t_has(why.what, "it crashed"));
      regauth_agent_free(agent);
      OK(regauth_agent_new(config, &agent));
    } else if (round == 1) {
      OK(regauth_flow_credentials(flow, T_NOW, REGAUTH_CREDENTIALS_REFRESH, NULL, 0, REGAUTH_STR("R"), T_NOW + 1000));
      step = t_poll(flow, T_NOW);
      CHECK(step.hop == REGAUTH_HOP_TOKEN && step.body == REGAUTH_BODY_FORM && t_has(step.form, "refresh_token=R"));
      CHECK(t_is(step.method, "POST"));
      regauth_agent_free(agent);
      OK(regauth_agent_new(config, &agent));
    } else {
      OK(regauth_flow_credentials(flow, T_NOW, REGAUTH_CREDENTIALS_NONE, NULL, 0, NULL, 0, 0));
      step = t_poll(flow, T_NOW);
      CHECK(step.hop == REGAUTH_HOP_TOKEN && t_field(&step, "Authorization").ptr == NULL);
    }
    regauth_flow_free(flow);
  }
  regauth_agent_free(agent);
  regauth_config_free(config);
}

static void refused(void) {
  regauth_agent *agent = t_agent();
  regauth_flow *flow = t_flow(agent, T_MANIFEST);
  regauth_error_info why = {.struct_size = sizeof why};
  t_poll(flow, T_NOW);
  t_answer(flow, T_NOW, 401, "WWW-Authenticate", "Bearer realm=\"https://auth.example/token\",service=\"reg\"", NULL);
  CHECK(t_poll(flow, T_NOW).kind == REGAUTH_STEP_FAILED);
  OK(regauth_flow_error(flow, &why));
  CHECK(why.kind == REGAUTH_ERROR_ASK && why.hop == REGAUTH_HOP_TOKEN);
  CHECK(t_is(why.line, "[[pair]] registry = \"https://reg.example\", token = \"https://auth.example\""));
  regauth_flow_free(flow);
  regauth_agent_free(agent);

  agent = t_agent();
  flow = t_flow(agent, T_MANIFEST);
  t_poll(flow, T_NOW);
  const regauth_bytes hints[] = {regauth_text("CN=ca")};
  const regauth_bytes lines[] = {regauth_text("builder, issued by CN=other: no")};
  regauth_evidence seen = {.struct_size = sizeof seen,
                           .version = REGAUTH_TLS_1_3,
                           .shown = REGAUTH_SHOWN_NONE_FITS,
                           .flags = REGAUTH_EVIDENCE_FINISHED,
                           .alert = 116,
                           .hints = hints,
                           .hints_len = 1,
                           .lines = lines,
                           .lines_len = 1};
  uint32_t failure = 0;
  OK(regauth_evidence_failure(&seen, REGAUTH_FAILURE_RESET, &failure));
  CHECK(failure == REGAUTH_FAILURE_CERTIFICATE_REQUIRED);
  OK(regauth_flow_failed(flow, T_NOW, failure, &seen));
  CHECK(t_poll(flow, T_NOW).kind == REGAUTH_STEP_FAILED);
  OK(regauth_flow_error(flow, &why));
  CHECK(why.kind == REGAUTH_ERROR_NETWORK && why.failure == failure && t_has(why.what, "CN=ca"));
  CHECK(t_has(why.what, "CN=other"));
  regauth_flow_free(flow);
  regauth_agent_free(agent);
}

int main(void) {
  warm();
  cold();
  redirected(REGAUTH_REDIRECTS_CORE);
  redirected(REGAUTH_REDIRECTS_HOST);
  asked();
  refused();
  return t_end("flow");
}

/* Configurations, profiles and rotation. */
#include "t.h"

static uint32_t profile_of(regauth_agent *agent, const char *url, regauth_flow **flow) {
  *flow = t_flow(agent, url);
  return t_poll(*flow, T_NOW).profile;
}

static void hosts(void) {
  regauth_config *config = NULL;
  regauth_agent *agent = NULL;
  regauth_identity *one = NULL, *two = NULL;
  OK(regauth_config_new(&config));
  uint8_t print[32] = {1, 2, 3};
  OK(regauth_identity_named(REGAUTH_STR("one"), print, &one));
  OK(regauth_identity_named(REGAUTH_STR("two"), NULL, &two));
  regauth_identity_info info = {.struct_size = sizeof info};
  OK(regauth_identity_get(one, &info));
  CHECK(t_is(info.label, "one") && memcmp(info.fingerprint, print, 32) == 0 && info.client_auth == 1);

  const regauth_identity *both[] = {one, two};
  const regauth_bytes pem[] = {regauth_text("PEM")}, alpn[] = {regauth_text("http/1.1")};
  const regauth_header fields[] = {{regauth_text("X-Team"), regauth_text("7")}};
  regauth_host host = {.struct_size = sizeof host,
                       .flags = REGAUTH_HOST_TRY_PAIRS | REGAUTH_HOST_FORCE,
                       .roots = REGAUTH_ROOTS_PEM,
                       .roots_pem = pem,
                       .roots_pem_len = 1,
                       .identities = both,
                       .identities_len = 2,
                       .headers = fields,
                       .headers_len = 1,
                       .alpn = alpn,
                       .alpn_len = 1};
  OK(regauth_config_host(config, REGAUTH_STR(T_REGISTRY), &host));
  regauth_identity_free(one);
  regauth_identity_free(two);
  OK(regauth_agent_new(config, &agent));

  regauth_flow *flow = t_flow(agent, T_MANIFEST), *other = NULL;
  regauth_step step = t_poll(flow, T_NOW);
  CHECK(t_is(step.identity, "one, two") && t_is(t_field(&step, "X-Team"), "7"));
  uint32_t id = step.profile;
  CHECK(profile_of(agent, "https://other.example/v2/", &other) != id);
  CHECK(t_poll(other, T_NOW).identity.ptr == NULL);
  regauth_flow_free(other);

  regauth_profile *profile = NULL;
  regauth_profile_info all = {.struct_size = sizeof all};
  OK(regauth_agent_profile(agent, id, &profile));
  OK(regauth_profile_get(profile, &all));
  CHECK(all.flags == (REGAUTH_HOST_TRY_PAIRS | REGAUTH_HOST_FORCE) && all.roots == REGAUTH_ROOTS_PEM);
  CHECK(all.roots_pem_len == 1 && all.identities_len == 2 && all.alpn_len == 1);
  regauth_bytes bytes;
  OK(regauth_profile_root(profile, 0, &bytes));
  CHECK(t_is(bytes, "PEM"));
  OK(regauth_profile_alpn(profile, 0, &bytes));
  CHECK(t_is(bytes, "http/1.1"));
  IS(regauth_profile_root(profile, 1, &bytes), REGAUTH_NONE);
  IS(regauth_profile_alpn(profile, 1, &bytes), REGAUTH_NONE);
  IS(regauth_profile_identity(profile, 2, &two), REGAUTH_NONE);
  OK(regauth_profile_identity(profile, 1, &two));
  OK(regauth_identity_get(two, &info));
  CHECK(t_is(info.label, "two"));
  regauth_identity_free(two);

  const uint16_t schemes[] = {0x0403};
  regauth_choice choice = {.struct_size = sizeof choice};
  char why[64];
  size_t len = 0;
  OK(regauth_profile_choose(profile, 0, NULL, 0, schemes, 1, &choice, why, sizeof why, &len));
  CHECK(choice.shown == REGAUTH_SHOWN_PAIR && choice.pair == 1 && choice.next == 2 && t_is((regauth_bytes){why, len}, "one"));
  OK(regauth_profile_choose(profile, 1, NULL, 0, schemes, 1, &choice, NULL, 0, NULL));
  CHECK(choice.pair == 2 && choice.next == 0);
  IS(regauth_profile_choose(profile, 0, NULL, 0, schemes, 1, &choice, why, 1, &len), REGAUTH_SPACE);

  /* Rotation: the flow keeps its profile, a connection takes the newest. */
  host.identities_len = 0;
  OK(regauth_config_host(config, REGAUTH_STR(T_REGISTRY), &host));
  OK(regauth_agent_replace(agent, config));
  regauth_profile *newest = NULL;
  uint32_t new_id = id;
  OK(regauth_agent_newest(agent, id, &new_id, &newest));
  CHECK(new_id != id);
  OK(regauth_profile_get(newest, &all));
  CHECK(all.identities_len == 0);
  regauth_profile_free(regauth_profile_retain(newest));
  regauth_profile_free(newest);
  CHECK(t_is(t_poll(flow, T_NOW).identity, "one, two"));
  IS(regauth_agent_profile(agent, 99, &newest), REGAUTH_NONE);

  regauth_profile_free(profile);
  regauth_flow_free(flow);
  regauth_agent_free(regauth_agent_retain(agent));
  regauth_agent_free(agent);
  regauth_config_free(config);
}

static void errors(void) {
  regauth_config *config = NULL;
  regauth_agent *agent = NULL;
  regauth_error_info why = {.struct_size = sizeof why};
  OK(regauth_config_new(&config));
  IS(regauth_config_error(config, &why), REGAUTH_NONE);
  IS(regauth_config_ask(config, REGAUTH_STR("reg.example")), REGAUTH_FAILED);
  OK(regauth_config_error(config, &why));
  CHECK(why.kind == REGAUTH_ERROR_URL && why.fault == REGAUTH_FAULT_LOCAL);

  regauth_host host = {.struct_size = sizeof host, .flags = 256};
  IS(regauth_config_host(config, REGAUTH_STR(T_REGISTRY), &host), REGAUTH_INPUT);
  host.flags = 0;
  host.roots = 3;
  IS(regauth_config_host(config, REGAUTH_STR(T_REGISTRY), &host), REGAUTH_INPUT);
  const regauth_bytes pem[] = {regauth_text("PEM")};
  host.roots = REGAUTH_ROOTS_INHERIT;
  host.roots_pem = pem;
  host.roots_pem_len = 1;
  IS(regauth_config_default_host(config, &host), REGAUTH_INPUT);
  IS(regauth_config_roots(config, 3, NULL, 0), REGAUTH_INPUT);
  OK(regauth_config_roots(config, REGAUTH_ROOTS_INHERIT, NULL, 0));
  OK(regauth_config_roots(config, REGAUTH_ROOTS_WEBPKI, pem, 1));
  IS(regauth_config_pair(config, REGAUTH_STR(T_REGISTRY), 3, REGAUTH_STR(T_REGISTRY), 0), REGAUTH_INPUT);
  IS(regauth_config_pair(config, REGAUTH_STR(T_REGISTRY), 1, REGAUTH_STR(T_REGISTRY), 4), REGAUTH_INPUT);
  IS(regauth_config_option(config, 5, 1), REGAUTH_INPUT);
  IS(regauth_config_option(config, REGAUTH_OPTION_ANY_HTTPS, 2), REGAUTH_INPUT);
  IS(regauth_config_credentials(config, REGAUTH_STR(T_REGISTRY), 0, NULL, 0, NULL, 0), REGAUTH_INPUT);
  IS(regauth_config_credentials(config, REGAUTH_STR(T_REGISTRY), 4, NULL, 0, NULL, 0), REGAUTH_INPUT);

  const regauth_header fields[] = {{regauth_text("Authorization"), regauth_text("x")}};
  regauth_host bad = {.struct_size = sizeof bad, .headers = fields, .headers_len = 1};
  OK(regauth_config_host(config, REGAUTH_STR(T_REGISTRY), &bad));
  IS(regauth_agent_new(config, &agent), REGAUTH_FAILED);
  OK(regauth_config_error(config, &why));
  CHECK(why.kind == REGAUTH_ERROR_HEADER && agent == NULL);
  agent = t_agent();
  t_warm(agent, T_NOW);
  IS(regauth_agent_replace(agent, config), REGAUTH_FAILED);
  char buf[64];
  size_t len;
  OK(regauth_authorize(agent, T_NOW, REGAUTH_STR("GET"), REGAUTH_STR(T_MANIFEST), buf, sizeof buf, &len));
  regauth_agent_free(agent);
  regauth_config_free(config);
}

static void options(void) {
  regauth_config *config = NULL;
  regauth_agent *agent = NULL;
  OK(regauth_config_new(&config));
  OK(regauth_config_pair(config, REGAUTH_STR(T_REGISTRY), REGAUTH_PAIR_TOKEN, REGAUTH_STR("https://auth.example"),
                         REGAUTH_PAIR_IDENTITY | REGAUTH_PAIR_LOCAL));
  OK(regauth_config_option(config, REGAUTH_OPTION_ASK_FOR_ALL, 1));
  OK(regauth_config_option(config, REGAUTH_OPTION_ANY_HTTPS, 1));
  OK(regauth_config_option(config, REGAUTH_OPTION_PASSWORD_POST, 1));
  OK(regauth_config_option(config, REGAUTH_OPTION_OFFLINE_TOKEN, 1));
  OK(regauth_agent_new(config, &agent));
  regauth_config_free(config);
  regauth_flow *flow = t_flow(agent, T_MANIFEST);
  t_poll(flow, T_NOW);
  t_answer(flow, T_NOW, 401, "WWW-Authenticate", "Bearer realm=\"https://auth.example/token\",service=\"reg\"", NULL);
  CHECK(t_poll(flow, T_NOW).kind == REGAUTH_STEP_CREDENTIALS);
  OK(regauth_flow_credentials(flow, T_NOW, REGAUTH_CREDENTIALS_BASIC, REGAUTH_STR("u"), REGAUTH_STR("p"), 0));
  regauth_step step = t_poll(flow, T_NOW);
  CHECK(step.body == REGAUTH_BODY_FORM && t_has(step.form, "password=p") && t_has(step.form, "access_type=offline"));
  regauth_flow_free(flow);
  regauth_agent_free(agent);
}

int main(void) {
  hosts();
  errors();
  options();
  return t_end("config");
}

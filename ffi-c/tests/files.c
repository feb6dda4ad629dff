/* Importers, what helpers print, endpoints, and other attempts. */
#include "t.h"

#define N ((void *)0)

static int found(regauth_importer *importer, const char *code, const char *file) {
  regauth_diagnostic one = {.struct_size = sizeof one};
  for (size_t i = 0; regauth_importer_diagnostic(importer, i, &one) == REGAUTH_OK; i++)
    if (t_is(one.code, code) && t_is(one.file, file)) {
      CHECK(one.what.len && one.remedy.len && one.severity >= 1 && one.severity <= 3);
      return (int)one.severity;
    }
  return 0;
}

static const char pairs[] =
    "[[pair]]\nregistry = \"https://reg.example\"\ntoken = \"https://auth.example\"\n"
    "[host.\"https://reg.example\"]\nca = \"ca.crt\"\nheader = { X-Team = \"7\" }\n"
    "[registry.\"reg.example\"]\nmirrors = [\"https://mirror.example\"]\n";
static const char docker[] = "{\"auths\":{\"reg.example\":{\"auth\":\"dTpw\"}},\"credHelpers\":{\"other.example\":\"pass\"}}";

static void imports(void) {
  regauth_importer *importer = N;
  regauth_directory *certs = N;
  regauth_config *config = N;
  regauth_agent *agent = N;
  regauth_bytes wanted;
  OK(regauth_importer_new(T_NOW, &importer));
  OK(regauth_importer_roots(importer, REGAUTH_ROOTS_WEBPKI, N, 0));
  OK(regauth_importer_file(importer, REGAUTH_STR("/etc/regauth/other.crt"), REGAUTH_STR("x")));
  OK(regauth_importer_import(importer, REGAUTH_FORMAT_REGAUTH, REGAUTH_STR("/etc/regauth/regauth.toml"),
                             REGAUTH_STR(pairs)));
  OK(regauth_importer_wanted(importer, 0, &wanted));
  CHECK(t_is(wanted, "/etc/regauth/ca.crt"));
  IS(regauth_importer_wanted(importer, 1, &wanted), REGAUTH_NONE);
  IS(regauth_importer_file(importer, REGAUTH_STR("x"), REGAUTH_STR("y")), REGAUTH_MISUSE);
  regauth_importer_free(importer);

  OK(regauth_importer_new(T_NOW, &importer));
  OK(regauth_importer_file_unreadable(importer, REGAUTH_STR("/etc/regauth/ca.crt"), REGAUTH_STR("permission denied")));
  OK(regauth_importer_import(importer, REGAUTH_FORMAT_REGAUTH, REGAUTH_STR("/etc/regauth/regauth.toml"),
                             REGAUTH_STR(pairs)));
  OK(regauth_importer_import(importer, REGAUTH_FORMAT_DOCKER_CONFIG, REGAUTH_STR("config.json"), REGAUTH_STR(docker)));
  OK(regauth_importer_import(importer, REGAUTH_FORMAT_AUTH_JSON, REGAUTH_STR("auth.json"), REGAUTH_STR("{}")));
  OK(regauth_importer_import_unreadable(importer, REGAUTH_FORMAT_BUILDKITD, REGAUTH_STR("buildkitd.toml"),
                                        REGAUTH_STR("permission denied")));
  OK(regauth_directory_new(REGAUTH_STR("/etc/docker/certs.d"), &certs));
  OK(regauth_directory_add(certs, REGAUTH_STR("third.example:5000/ca.crt"), REGAUTH_STR("no certificate in here")));
  OK(regauth_directory_unreadable(certs, REGAUTH_STR("third.example:5000/client.key"), REGAUTH_STR("denied")));
  OK(regauth_importer_import_directories(importer, REGAUTH_FORMAT_DOCKER_CERTS, &certs, 1));
  regauth_directory *both[2];
  OK(regauth_directory_new(REGAUTH_STR("/a"), &both[0]));
  OK(regauth_directory_unreadable(both[0], N, 0, REGAUTH_STR("denied")));
  OK(regauth_directory_new(REGAUTH_STR("/b"), &both[1]));
  OK(regauth_importer_import_directories(importer, REGAUTH_FORMAT_HOSTS, both, 2));
  OK(regauth_importer_finish(importer, &config));
  CHECK(found(importer, "no-certificate", "/etc/docker/certs.d/third.example:5000/ca.crt"));
  CHECK(found(importer, "unreadable", "buildkitd.toml") == REGAUTH_SEVERITY_ERROR);
  CHECK(found(importer, "unreadable", "/etc/regauth/ca.crt") == REGAUTH_SEVERITY_ERROR);
  IS(regauth_importer_finish(importer, &config), REGAUTH_MISUSE);
  IS(regauth_importer_import(importer, REGAUTH_FORMAT_REGAUTH, N, 0, N, 0), REGAUTH_MISUSE);
  IS(regauth_importer_wanted(importer, 0, &wanted), REGAUTH_MISUSE);
  regauth_importer_free(importer);
  regauth_config_free(config);

  /* One without flaws. */
  OK(regauth_importer_new(0, &importer));
  OK(regauth_importer_import(importer, REGAUTH_FORMAT_REGAUTH, REGAUTH_STR("regauth.toml"),
                             REGAUTH_STR("[[pair]]\nregistry = \"https://reg.example\"\ntoken = \"https://auth.example\"\n"
                                         "[registry.\"reg.example\"]\nmirrors = [\"https://mirror.example\"]\n")));
  OK(regauth_importer_import(importer, REGAUTH_FORMAT_DOCKER_CONFIG, REGAUTH_STR("config.json"), REGAUTH_STR(docker)));
  OK(regauth_importer_finish(importer, &config));
  OK(regauth_agent_new(config, &agent));
  regauth_config_free(config);
  regauth_importer_free(importer);

  regauth_flow *flow = t_flow(agent, T_MANIFEST);
  t_poll(flow, T_NOW);
  t_answer(flow, T_NOW, 401, "WWW-Authenticate", "Bearer realm=\"https://auth.example/token\",service=\"reg\"", N);
  regauth_step step = t_poll(flow, T_NOW);
  CHECK(step.hop == REGAUTH_HOP_TOKEN && t_is(t_field(&step, "Authorization"), "Basic dTpw"));
  regauth_flow_free(flow);

  for (int round = 0; round < 3; round++) {
    flow = t_flow(agent, "https://other.example/v2/app/manifests/1");
    if (t_poll(flow, T_NOW).kind == REGAUTH_STEP_SEND)
      t_answer(flow, T_NOW, 401, "WWW-Authenticate", "Bearer realm=\"https://other.example/token\",service=\"o\"", N);
    step = t_poll(flow, T_NOW);
    CHECK(step.kind == REGAUTH_STEP_CREDENTIALS && t_is(step.helper, "pass") && t_is(step.helper_url, "other.example"));
    regauth_error_info why = {.struct_size = sizeof why};
    if (round == 0) {
      OK(regauth_flow_helper_output(flow, T_NOW, 0, REGAUTH_STR("gpg is locked\n")));
      CHECK(t_poll(flow, T_NOW).kind == REGAUTH_STEP_FAILED);
      OK(regauth_flow_error(flow, &why));
      CHECK(why.kind == REGAUTH_ERROR_HELPER && t_has(why.what, "gpg is locked"));
    } else if (round == 1) {
      regauth_flow_free(flow);
      continue;
    } else {
      OK(regauth_flow_helper_output(flow, T_NOW, 1, REGAUTH_STR("{\"Username\":\"u\",\"Secret\":\"p\"}")));
      step = t_poll(flow, T_NOW);
      CHECK(step.hop == REGAUTH_HOP_TOKEN && t_is(t_field(&step, "Authorization"), "Basic dTpw"));
    }
    regauth_flow_free(flow);
    if (round == 0) {
      /* A refusal is shared for a while, so a new agent. */
      regauth_agent_free(agent);
      OK(regauth_importer_new(0, &importer));
      OK(regauth_importer_import(importer, REGAUTH_FORMAT_DOCKER_CONFIG, N, 0, REGAUTH_STR(docker)));
      OK(regauth_importer_finish(importer, &config));
      OK(regauth_agent_new(config, &agent));
      regauth_config_free(config);
      regauth_importer_free(importer);
    }
  }
  regauth_agent_free(agent);
}

static void endpoints(void) {
  regauth_importer *importer = N;
  regauth_config *config = N;
  regauth_agent *agent = N;
  regauth_reference *image = N;
  regauth_endpoints *all = N;
  regauth_endpoint one = {.struct_size = sizeof one};
  char url[128];
  size_t len;
  OK(regauth_importer_new(0, &importer));
  OK(regauth_importer_import(importer, REGAUTH_FORMAT_REGAUTH, REGAUTH_STR("regauth.toml"),
                             REGAUTH_STR("[registry.\"reg.example\"]\nmirrors = [\"https://mirror.example\"]\n")));
  OK(regauth_importer_finish(importer, &config));
  OK(regauth_agent_new(config, &agent));
  OK(regauth_reference_parse(REGAUTH_STR("reg.example/app:1"), &image, N));
  OK(regauth_agent_endpoints(agent, image, REGAUTH_CAPABILITY_PULL, &all));
  OK(regauth_endpoints_get(all, 0, &one));
  CHECK(one.mirror == 1 && t_is(one.origin, "https://mirror.example") && t_is(one.repository, "app"));
  CHECK(one.capabilities & REGAUTH_CAPABILITY_PULL && t_is(one.root, "/v2"));
  OK(regauth_endpoints_get(all, 1, &one));
  CHECK(one.mirror == 0 && t_is(one.origin, T_REGISTRY));
  OK(regauth_endpoints_url(all, 1, REGAUTH_STR("manifests/1"), url, sizeof url, &len));
  CHECK(t_is((regauth_bytes){url, len}, T_MANIFEST));
  IS(regauth_endpoints_get(all, 2, &one), REGAUTH_NONE);
  IS(regauth_endpoints_url(all, 2, N, 0, url, sizeof url, &len), REGAUTH_NONE);
  IS(regauth_agent_endpoints(agent, image, 3, &all), REGAUTH_INPUT);
  IS(regauth_agent_endpoints(agent, N, 1, &all), REGAUTH_NULL);
  IS(regauth_agent_endpoints(N, image, 1, &all), REGAUTH_NULL);
  IS(regauth_agent_endpoints(agent, image, 1, N), REGAUTH_NULL);
  IS(regauth_endpoints_get(N, 0, &one), REGAUTH_NULL);
  IS(regauth_endpoints_url(N, 0, N, 0, N, 0, N), REGAUTH_NULL);
  regauth_endpoints_free(all);
  regauth_endpoints_free(N);
  regauth_reference_free(image);
  regauth_agent_free(agent);
  regauth_config_free(config);
  regauth_importer_free(importer);
}

static void attempts(void) {
  regauth_identity *one = N, *two = N;
  regauth_profile *profile = N;
  OK(regauth_identity_named(REGAUTH_STR("one"), N, &one));
  OK(regauth_identity_named(REGAUTH_STR("two"), N, &two));
  const regauth_identity *both[] = {one, two};
  const regauth_settings settings = {.struct_size = sizeof settings,
                                     .flags = REGAUTH_HOST_TRY_PAIRS | REGAUTH_HOST_TRY_PAIRS_ON_STATUS,
                                     .identities = both,
                                     .identities_len = 2};
  OK(regauth_profile_new(&settings, &profile));
  const regauth_bytes lines[] = {regauth_text("one"), regauth_text("CN=ca")};
  regauth_evidence seen = {.struct_size = sizeof seen,
                           .version = REGAUTH_TLS_1_3,
                           .shown = REGAUTH_SHOWN_PAIR,
                           .flags = REGAUTH_EVIDENCE_FINISHED,
                           .alert = 42,
                           .pair = 1,
                           .next = 2,
                           .flaw = REGAUTH_FLAW_EXPIRED,
                           .flaw_seconds = 7200,
                           .lines = lines,
                           .lines_len = 2};
  size_t skip = 9;
  OK(regauth_profile_retry(profile, &seen, REGAUTH_FAILURE_CERTIFICATE_REJECTED, 0, &skip));
  CHECK(skip == 1);
  IS(regauth_profile_retry(profile, &seen, REGAUTH_FAILURE_TIMEOUT, 0, &skip), REGAUTH_NONE);
  OK(regauth_profile_retry(profile, &seen, 0, 403, &skip));
  IS(regauth_profile_retry(profile, &seen, 0, 200, &skip), REGAUTH_NONE);
  IS(regauth_profile_retry(profile, &seen, 1, 200, &skip), REGAUTH_INPUT);
  IS(regauth_profile_retry(profile, &seen, 0, 0, &skip), REGAUTH_INPUT);
  IS(regauth_profile_retry(profile, N, 1, 0, &skip), REGAUTH_NULL);
  IS(regauth_profile_retry(N, &seen, 1, 0, &skip), REGAUTH_NULL);
  IS(regauth_profile_retry(profile, &seen, 1, 0, N), REGAUTH_NULL);
  seen.flaw = 4;
  IS(regauth_profile_retry(profile, &seen, 1, 0, &skip), REGAUTH_INPUT);
  seen.flaw = REGAUTH_FLAW_EXPIRED;

  regauth_agent *agent = t_agent();
  regauth_flow *flow = t_flow(agent, T_MANIFEST);
  char text[2048];
  t_poll(flow, T_NOW);
  OK(regauth_flow_retried(flow, &seen, REGAUTH_FAILURE_CERTIFICATE_REJECTED, 0));
  IS(regauth_flow_retried(flow, N, 1, 0), REGAUTH_NULL);
  IS(regauth_flow_retried(N, &seen, 1, 0), REGAUTH_NULL);
  size_t len = 0;
  OK(regauth_flow_explain(flow, text, sizeof text, &len));
  CHECK(t_has((regauth_bytes){text, len}, "one"));
  OK(regauth_flow_failed(flow, T_NOW, REGAUTH_FAILURE_CERTIFICATE_REJECTED, &seen));
  t_poll(flow, T_NOW);
  regauth_error_info why = {.struct_size = sizeof why};
  OK(regauth_flow_error(flow, &why));
  CHECK(why.certificates == REGAUTH_CERTIFICATE_REJECTED && t_has(why.what, "2 h"));
  regauth_flow_free(flow);
  regauth_agent_free(agent);

  regauth_error *error = N;
  seen.alert = 0;
  OK(regauth_diagnose(400, REGAUTH_STR("text/html"), "<center>The SSL certificate error</center>", 42, REGAUTH_STR("one"),
                      &seen, &error));
  OK(regauth_error_get(error, &why));
  CHECK(why.certificates == REGAUTH_CERTIFICATE_REJECTED_OVER_HTTP && why.http_status == 400 && why.remedy.len);
  regauth_error_free(error);
  IS(regauth_diagnose(401, N, 0, N, 0, N, 0, &seen, &error), REGAUTH_NONE);
  IS(regauth_diagnose(403, N, 0, N, 0, N, 0, N, &error), REGAUTH_NONE);
  IS(regauth_diagnose(403, N, 0, N, 0, N, 0, N, N), REGAUTH_NULL);
  regauth_profile_free(profile);
  regauth_identity_free(one);
  regauth_identity_free(two);
}

static void misuse(void) {
  regauth_importer *importer = N;
  regauth_directory *directory = N;
  regauth_diagnostic one = {.struct_size = sizeof one};
  OK(regauth_importer_new(0, &importer));
  IS(regauth_importer_new(0, N), REGAUTH_NULL);
  IS(regauth_importer_roots(N, 0, N, 0), REGAUTH_NULL);
  IS(regauth_importer_roots(importer, 3, N, 0), REGAUTH_INPUT);
  IS(regauth_importer_file(N, N, 0, N, 0), REGAUTH_NULL);
  IS(regauth_importer_file(importer, N, 1, N, 0), REGAUTH_NULL);
  OK(regauth_directory_new(N, 0, &directory));
  IS(regauth_importer_file_directory(N, N, 0, directory), REGAUTH_NULL); /* taken all the same */
  IS(regauth_importer_file_directory(importer, N, 0, N), REGAUTH_NULL);
  OK(regauth_directory_new(N, 0, &directory));
  OK(regauth_importer_file_directory(importer, REGAUTH_STR("d"), directory));
  IS(regauth_importer_file_unreadable(N, N, 0, N, 0), REGAUTH_NULL);
  IS(regauth_importer_import(N, 4, N, 0, N, 0), REGAUTH_NULL);
  for (uint32_t format = 0; format < 12; format++) {
    regauth_status came = regauth_importer_import(importer, format, N, 0, N, 0);
    CHECK(came == (format >= REGAUTH_FORMAT_BUILDKITD && format <= REGAUTH_FORMAT_KUBERNETES ? REGAUTH_OK : REGAUTH_INPUT));
  }
  IS(regauth_importer_import_unreadable(N, 4, N, 0, N, 0), REGAUTH_NULL);
  IS(regauth_importer_import_directories(N, 1, N, 0), REGAUTH_NULL);
  IS(regauth_importer_import_directories(importer, REGAUTH_FORMAT_DOCKER_CERTS, N, 0), REGAUTH_INPUT);
  IS(regauth_importer_import_directories(importer, REGAUTH_FORMAT_HOSTS, N, 1), REGAUTH_NULL);
  regauth_directory *none[] = {N};
  IS(regauth_importer_import_directories(importer, REGAUTH_FORMAT_HOSTS, none, 1), REGAUTH_NULL);
  OK(regauth_directory_new(N, 0, &none[0]));
  IS(regauth_importer_import_directories(importer, REGAUTH_FORMAT_REGAUTH, none, 1), REGAUTH_INPUT);
  IS(regauth_importer_wanted(N, 0, N), REGAUTH_NULL);
  IS(regauth_importer_finish(N, N), REGAUTH_NULL);
  IS(regauth_importer_finish(importer, N), REGAUTH_NULL);
  IS(regauth_importer_diagnostic(N, 0, &one), REGAUTH_NULL);
  IS(regauth_importer_diagnostic(importer, 0, &one), REGAUTH_NONE);
  IS(regauth_directory_new(N, 0, N), REGAUTH_NULL);
  IS(regauth_directory_add(N, N, 0, N, 0), REGAUTH_NULL);
  IS(regauth_directory_unreadable(N, N, 0, N, 0), REGAUTH_NULL);
  IS(regauth_flow_helper_output(N, 0, 0, N, 0), REGAUTH_NULL);
  IS(regauth_exchange_helper_output(N, 0, 0, N, 0), REGAUTH_NULL);
  IS(regauth_exchange_body_rewinds(N), REGAUTH_NULL);
  regauth_importer_free(importer);
  regauth_importer_free(N);
  regauth_directory_free(N);
}

int main(void) {
  imports();
  endpoints();
  attempts();
  misuse();
  return t_end("files");
}

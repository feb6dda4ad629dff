/* Challenges, scopes, image names and origins. */
#include "t.h"

static void challenges(void) {
  regauth_bytes fields[] = {regauth_text("Basic realm=\"a\\\"b\", Bearer realm=\"https://t/\",service=s"),
                            regauth_text("Negotiate YWJj")};
  regauth_challenges *read = NULL;
  regauth_challenge one = {.struct_size = sizeof one};
  size_t flaws = 9;
  OK(regauth_challenges_parse(fields, 2, &read, &flaws));
  CHECK(flaws == 0);
  OK(regauth_challenges_get(read, 0, &one));
  CHECK(t_is(one.scheme, "Basic") && one.params_len == 1 && t_is(one.params[0].value, "a\"b"));
  CHECK(one.token68.ptr == NULL);
  OK(regauth_challenges_get(read, 1, &one));
  CHECK(t_is(one.scheme, "Bearer") && one.params_len == 2 && t_is(one.params[1].name, "service"));
  OK(regauth_challenges_get(read, 2, &one));
  CHECK(t_is(one.token68, "YWJj") && one.params_len == 0);
  IS(regauth_challenges_get(read, 3, &one), REGAUTH_NONE);
  regauth_challenges_free(read);
  fields[0] = regauth_text("Bearer realm=\"");
  OK(regauth_challenges_parse(fields, 1, &read, &flaws));
  CHECK(flaws > 0);
  regauth_challenges_free(read);
  OK(regauth_challenges_parse(NULL, 0, &read, NULL));
  regauth_challenges_free(read);
}

static void scopes(void) {
  char buf[64];
  size_t len = 0;
  uint32_t covers = 9;
  OK(regauth_scope_needed(REGAUTH_STR("GET"), REGAUTH_STR("/v2/app/manifests/1"), buf, sizeof buf, &len));
  CHECK(t_is((regauth_bytes){buf, len}, "repository:app:pull"));
  IS(regauth_scope_needed(REGAUTH_STR("GET"), REGAUTH_STR("/v2/app/manifests/1"), buf, 3, &len), REGAUTH_SPACE);
  CHECK(len == strlen("repository:app:pull"));
  OK(regauth_scope_needed(REGAUTH_STR("GET"), REGAUTH_STR("/v2/"), buf, sizeof buf, &len));
  CHECK(len == 0);
  IS(regauth_scope_needed(REGAUTH_STR("GET"), REGAUTH_STR("/x"), buf, sizeof buf, &len), REGAUTH_NONE);
  OK(regauth_scope_merge(REGAUTH_STR("repository:a:pull repository:a:push"), buf, sizeof buf, &len));
  CHECK(t_is((regauth_bytes){buf, len}, "repository:a:pull,push"));
  OK(regauth_scope_covers(REGAUTH_STR("repository:a:pull,push"), REGAUTH_STR("repository:a:pull"), &covers));
  CHECK(covers == 1);
  OK(regauth_scope_covers(REGAUTH_STR("repository:a:pull"), REGAUTH_STR("repository:a:push"), &covers));
  CHECK(covers == 0);
}

static void names(void) {
  regauth_reference *name = NULL;
  regauth_reference_info info = {.struct_size = sizeof info};
  regauth_error *error = NULL;
  regauth_error_info why = {.struct_size = sizeof why};
  char buf[64];
  size_t len = 0;
  OK(regauth_reference_parse(REGAUTH_STR("alpine"), &name, &error));
  OK(regauth_reference_get(name, &info));
  CHECK(t_is(info.origin, "https://registry-1.docker.io") && t_is(info.domain, "docker.io"));
  CHECK(t_is(info.repository, "library/alpine") && t_is(info.tag, "latest") && info.digest.ptr == NULL);
  CHECK(t_is(info.reference, "latest"));
  regauth_reference_free(name);
  CHECK(error == NULL);
  IS(regauth_reference_parse(REGAUTH_STR("Bad Name"), &name, &error), REGAUTH_FAILED);
  OK(regauth_error_get(error, &why));
  CHECK(why.fault == REGAUTH_FAULT_LOCAL && why.kind == REGAUTH_ERROR_REFERENCE && why.what.len && why.remedy.len);
  regauth_error_free(error);
  IS(regauth_reference_parse(REGAUTH_STR("Bad Name"), &name, NULL), REGAUTH_FAILED);

  OK(regauth_origin_parse(REGAUTH_STR("HTTPS://Reg.Example:443/v2/"), buf, sizeof buf, &len, NULL));
  CHECK(t_is((regauth_bytes){buf, len}, "https://reg.example"));
  error = NULL;
  IS(regauth_origin_parse(REGAUTH_STR("ftp://reg.example"), buf, sizeof buf, &len, &error), REGAUTH_FAILED);
  OK(regauth_error_get(error, &why));
  CHECK(why.kind == REGAUTH_ERROR_URL);
  regauth_error_free(error);
}

int main(void) {
  challenges();
  scopes();
  names();
  return t_end("words");
}

/* Runs the vectors: challenge, scope, merge, cover, reference, origin and flow. `vectors FILE...` */
#define _GNU_SOURCE
#include "vectors.h"

static const char *text_of(json_t *value) { return json_is_string(value) ? json_string_value(value) : ""; }

static int same(regauth_bytes bytes, json_t *wanted) {
  if (!bytes.ptr) return json_is_null(wanted);
  return json_is_string(wanted) && json_string_length(wanted) == bytes.len &&
         memcmp(json_string_value(wanted), bytes.ptr, bytes.len) == 0;
}

int v_same(regauth_bytes bytes, json_t *wanted) { return same(bytes, wanted); }

static void lower(char *to, regauth_bytes from, size_t cap) {
  size_t i, n = from.len < cap - 1 ? from.len : cap - 1;
  for (i = 0; i < n; i++) {
    char c = from.ptr[i];
    to[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
  }
  to[n] = 0;
}

/* JSON text of bytes that may be no UTF-8: then the vector cannot be met in a language of texts either. */
static json_t *text_or_replacement(regauth_bytes bytes) {
  json_t *text = json_stringn(bytes.ptr, bytes.len);
  if (text) return text;
  char *all = malloc(bytes.len * 3 + 1);
  size_t i, n = 0;
  for (i = 0; i < bytes.len; i++) {
    if ((unsigned char)bytes.ptr[i] < 0x80) {
      all[n++] = bytes.ptr[i];
    } else {
      memcpy(all + n, "\xef\xbf\xbd", 3);
      n += 3;
    }
  }
  text = json_stringn(all, n);
  free(all);
  return text;
}

static const char *challenges(json_t *line) {
  json_t *headers = json_object_get(line, "headers"), *field;
  size_t i, n = json_array_size(headers), flaws = 0;
  regauth_bytes *fields = calloc(n + 1, sizeof *fields);
  json_array_foreach(headers, i, field) fields[i] =
      (regauth_bytes){json_string_value(field), json_string_length(field)};
  regauth_challenges *read = NULL;
  if (regauth_challenges_parse(fields, n, &read, &flaws)) return "not parsed";
  free(fields);
  json_t *list = json_array();
  regauth_challenge one = {.struct_size = sizeof one};
  for (i = 0; regauth_challenges_get(read, i, &one) == REGAUTH_OK; i++) {
    char name[256];
    json_t *params = json_object(), *made = json_object();
    for (size_t p = 0; p < one.params_len; p++) {
      lower(name, one.params[p].name, sizeof name);
      json_object_set_new(params, name, text_or_replacement(one.params[p].value));
    }
    lower(name, one.scheme, sizeof name);
    json_object_set_new(made, "scheme", json_string(name));
    json_object_set_new(made, "params", params);
    if (one.token68.ptr) json_object_set_new(made, "token68", json_stringn(one.token68.ptr, one.token68.len));
    json_array_append_new(list, made);
  }
  regauth_challenges_free(read);
  json_t *expect = json_object_get(line, "expect"), *valid = json_object_get(line, "valid");
  const char *why = NULL;
  if (expect && !json_equal(expect, list)) why = "other challenges";
  if (valid && json_is_true(valid) != (flaws == 0)) why = "other validity";
  json_decref(list);
  return why;
}

/* A list of scopes, or of lists of them, separated by spaces. */
static void join(char *to, json_t *list) {
  size_t i;
  json_t *one;
  json_array_foreach(list, i, one) {
    if (json_is_array(one)) {
      join(to, one);
    } else {
      if (*to) strcat(to, " ");
      strcat(to, text_of(one));
    }
  }
}

static const char *scopes(json_t *line, const char *kind) {
  char buf[4096], joined[4096] = "", granted[4096] = "";
  size_t len = 0;
  if (!strcmp(kind, "cover")) {
    uint32_t covers = 2;
    join(granted, json_object_get(line, "granted"));
    join(joined, json_object_get(line, "needed"));
    if (regauth_scope_covers(REGAUTH_STR(granted), REGAUTH_STR(joined), &covers)) return "no answer";
    return covers == (uint32_t)json_is_true(json_object_get(line, "covers")) ? NULL : "other cover";
  }
  if (!strcmp(kind, "merge")) {
    join(granted, json_object_get(line, "scopes"));
    join(joined, json_object_get(line, "merged"));
    if (regauth_scope_merge(REGAUTH_STR(granted), buf, sizeof buf, &len)) return "no answer";
  } else {
    json_t *method = json_object_get(line, "method"), *path = json_object_get(line, "path");
    regauth_status came = regauth_scope_needed(json_string_value(method), json_string_length(method),
                                               json_string_value(path), json_string_length(path), buf, sizeof buf, &len);
    if (json_is_null(json_object_get(line, "scopes"))) return came == REGAUTH_NONE ? NULL : "scopes where there are none";
    if (came) return regauth_status_name(came);
    join(joined, json_object_get(line, "scopes"));
  }
  return t_is((regauth_bytes){buf, len}, joined) ? NULL : "other scopes";
}

static const char *origin(json_t *line) {
  json_t *url = json_object_get(line, "url");
  char buf[8192];
  size_t len = 0;
  regauth_status came =
      regauth_origin_parse(json_string_value(url), json_string_length(url), buf, sizeof buf, &len, NULL);
  if (json_is_true(json_object_get(line, "error"))) return came == REGAUTH_FAILED ? NULL : "no error";
  return came == REGAUTH_OK && same((regauth_bytes){buf, len}, json_object_get(line, "origin")) ? NULL : "other origin";
}

static const char *reference(json_t *line) {
  json_t *name = json_object_get(line, "name");
  regauth_reference *read = NULL;
  regauth_status came = regauth_reference_parse(json_string_value(name), json_string_length(name), &read, NULL);
  if (json_is_true(json_object_get(line, "error"))) {
    regauth_reference_free(read);
    return came == REGAUTH_FAILED ? NULL : "no error";
  }
  regauth_reference_info info = {.struct_size = sizeof info};
  if (came || regauth_reference_get(read, &info)) return "not parsed";
  const struct {
    const char *name;
    regauth_bytes value;
  } parts[] = {{"origin", info.origin}, {"domain", info.domain}, {"repository", info.repository},
               {"tag", info.tag},       {"digest", info.digest}};
  const char *why = NULL;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    json_t *wanted = json_object_get(line, parts[i].name);
    if (wanted && !same(parts[i].value, wanted)) why = parts[i].name;
  }
  regauth_reference_free(read);
  return why;
}

int main(int argc, char **argv) {
  int passed = 0, failed = 0, skipped = 0;
  for (int i = 1; i < argc; i++) {
    FILE *file = fopen(argv[i], "r");
    char *text = NULL;
    size_t cap = 0, number = 0;
    ssize_t len;
    if (!file) {
      perror(argv[i]);
      return 1;
    }
    while ((len = getline(&text, &cap, file)) > 0) {
      json_error_t error;
      json_t *line = json_loadb(text, (size_t)len, JSON_ALLOW_NUL, &error);
      const char *kind = text_of(json_object_get(line, "kind")), *why;
      number++;
      if (!line)
        why = error.text;
      else if (!strcmp(kind, "challenge"))
        why = challenges(line);
      else if (!strcmp(kind, "scope") || !strcmp(kind, "merge") || !strcmp(kind, "cover"))
        why = scopes(line, kind);
      else if (!strcmp(kind, "origin"))
        why = origin(line);
      else if (!strcmp(kind, "reference"))
        why = reference(line);
      else if (!strcmp(kind, "flow"))
        why = v_flow(line);
      else {
        skipped++;
        json_decref(line);
        continue;
      }
      if (why) {
        printf("%s:%zu %s: %s\n", argv[i], number, text_of(json_object_get(line, "id")), why);
        failed++;
      } else {
        passed++;
      }
      json_decref(line);
    }
    free(text);
    fclose(file);
  }
  printf("%d passed, %d failed, %d of kinds that C has no function for\n", passed, failed, skipped);
  return failed || t_failed;
}

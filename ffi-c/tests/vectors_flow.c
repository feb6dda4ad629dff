/* A scripted conversation with one agent. */
#define _GNU_SOURCE
#include <arpa/inet.h>

#include "vectors.h"

static const char *const keys[] = {"service",       "scope",    "account",  "grant_type",  "refresh_token",
                                   "username",      "password", "access_type", "offline_token"};

typedef struct {
  char name[32];
  regauth_flow *flow;
  int woken;
} running;

static char why[2048];

static const char *get(json_t *object, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  return text ? text : "";
}

static int is(json_t *object, const char *name) { return json_is_true(json_object_get(object, name)); }

static void wake(void *arg) { ((running *)arg)->woken = 1; }

/* Credentials out of {"user", "password"}, {"refresh"} or {"bearer"}. */
static uint32_t credentials(json_t *value, const char **user, const char **secret) {
  *user = *secret = "";
  if (json_object_get(value, "user")) {
    *user = get(value, "user");
    *secret = get(value, "password");
    return REGAUTH_CREDENTIALS_BASIC;
  }
  if (json_object_get(value, "refresh")) {
    *secret = get(value, "refresh");
    return REGAUTH_CREDENTIALS_REFRESH;
  }
  if (!json_object_get(value, "bearer")) return REGAUTH_CREDENTIALS_NONE;
  *secret = get(value, "bearer");
  return REGAUTH_CREDENTIALS_BEARER;
}

static regauth_agent *make(json_t *from) {
  regauth_config *config = NULL;
  regauth_agent *agent = NULL;
  const char *origin, *user, *secret;
  json_t *entry;
  size_t i;
  OK(regauth_config_new(&config));
  json_object_foreach(json_object_get(from, "hosts"), origin, entry) {
    regauth_identity *identity = NULL;
    regauth_header fields[8];
    regauth_host host = {.struct_size = sizeof host, .headers = fields};
    const char *name;
    json_t *value;
    if (json_object_get(entry, "identity")) OK(regauth_identity_named(REGAUTH_STR(get(entry, "identity")), NULL, &identity));
    const regauth_identity *identities[] = {identity};
    host.identities = identities;
    host.identities_len = identity ? 1 : 0;
    json_object_foreach(json_object_get(entry, "headers"), name, value) {
      fields[host.headers_len++] = (regauth_header){regauth_text(name), regauth_text(json_string_value(value))};
    }
    if (is(entry, "local")) host.flags |= REGAUTH_HOST_LOCAL;
    if (is(entry, "password_over_http")) host.flags |= REGAUTH_HOST_PASSWORD_OVER_HTTP;
    if (is(entry, "skip_verify")) host.flags |= REGAUTH_HOST_SKIP_VERIFY;
    if (is(entry, "password_unverified")) host.flags |= REGAUTH_HOST_PASSWORD_UNVERIFIED;
    OK(regauth_config_host(config, REGAUTH_STR(origin), &host));
    regauth_identity_free(identity);
  }
  json_object_foreach(json_object_get(from, "credentials"), origin, entry) {
    uint32_t kind = credentials(entry, &user, &secret);
    if (kind)
      OK(regauth_config_credentials(config, REGAUTH_STR(origin), kind, REGAUTH_STR(user), REGAUTH_STR(secret)));
    else
      OK(regauth_config_ask(config, REGAUTH_STR(origin)));
  }
  json_array_foreach(json_object_get(from, "pairs"), i, entry) {
    int storage = json_object_get(entry, "storage") != NULL;
    OK(regauth_config_pair(config, REGAUTH_STR(get(entry, "registry")),
                           storage ? REGAUTH_PAIR_STORAGE : REGAUTH_PAIR_TOKEN,
                           REGAUTH_STR(get(entry, storage ? "storage" : "token")),
                           (is(entry, "identity") ? REGAUTH_PAIR_IDENTITY : 0u) |
                               (is(entry, "local") ? REGAUTH_PAIR_LOCAL : 0u)));
  }
  if (!strcmp(get(from, "mode"), "any-https")) OK(regauth_config_option(config, REGAUTH_OPTION_ANY_HTTPS, 1));
  if (is(from, "password_post")) OK(regauth_config_option(config, REGAUTH_OPTION_PASSWORD_POST, 1));
  if (is(from, "offline_token")) OK(regauth_config_option(config, REGAUTH_OPTION_OFFLINE_TOKEN, 1));
  OK(regauth_agent_new(config, &agent));
  regauth_config_free(config);
  return agent;
}

static uint32_t hop_of(const char *name) {
  for (uint32_t hop = 1; hop <= REGAUTH_HOP_TOKEN_REDIRECT; hop++)
    if (!strcmp(regauth_hop_name(hop), name)) return hop;
  return 0;
}

static regauth_flow *start(regauth_agent *agent, json_t *step) {
  regauth_flow *flow = NULL;
  size_t i;
  json_t *scope;
  if (json_object_get(step, "of")) {
    regauth_referrer *by = NULL;
    OK(regauth_referrer_registry(REGAUTH_STR(get(step, "of")), &by, NULL));
    OK(regauth_agent_referred(agent, by, hop_of(get(step, "hop")), REGAUTH_STR(get(step, "method")),
                              REGAUTH_STR(get(step, "url")), &flow, NULL));
    regauth_referrer_free(by);
  } else {
    OK(regauth_agent_request(agent, REGAUTH_STR(get(step, "method")), REGAUTH_STR(get(step, "url")), &flow, NULL));
  }
  json_array_foreach(json_object_get(step, "scopes"), i, scope)
      OK(regauth_flow_scope(flow, REGAUTH_STR(json_string_value(scope))));
  return flow;
}

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return (c | 32) - 'a' + 10;
}

/* The values of one key of an encoded form, as a JSON list; nothing where there is none. */
static json_t *values(regauth_bytes form, const char *key) {
  json_t *list = NULL;
  char part[2][4096];
  size_t at = 0;
  while (at < form.len) {
    size_t n[2] = {0, 0};
    int value = 0;
    for (; at < form.len && form.ptr[at] != '&'; at++) {
      char c = form.ptr[at];
      if (c == '=' && !value) {
        value = 1;
        continue;
      }
      if (c == '+') c = ' ';
      if (c == '%' && at + 2 < form.len) {
        c = (char)(hex(form.ptr[at + 1]) * 16 + hex(form.ptr[at + 2]));
        at += 2;
      }
      if (n[value] < sizeof part[0] - 1) part[value][n[value]++] = c;
    }
    at++;
    part[0][n[0]] = 0;
    if (!strcmp(part[0], key)) {
      if (!list) list = json_array();
      json_array_append_new(list, json_stringn(part[1], n[1]));
    }
  }
  return list;
}

static const char *pairs(const char *what, json_t *expected, regauth_bytes form) {
  const char *key;
  json_t *value;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    if (json_object_get(expected, keys[i])) continue;
    json_t *came = values(form, keys[i]);
    if (came) {
      snprintf(why, sizeof why, "%s has %s", what, keys[i]);
      json_decref(came);
      return why;
    }
  }
  json_object_foreach(expected, key, value) {
    json_t *came = values(form, key);
    int good = json_is_array(value) ? came && json_equal(came, value) : came == NULL;
    json_decref(came);
    if (!good) {
      snprintf(why, sizeof why, "%s: another %s", what, key);
      return why;
    }
  }
  return NULL;
}

static regauth_bytes field(const regauth_step *step, const char *name) {
  for (size_t i = 0; i < step->headers_len; i++)
    if (step->headers[i].name.len == strlen(name) && !strncasecmp(step->headers[i].name.ptr, name, strlen(name)))
      return step->headers[i].value;
  return (regauth_bytes){NULL, 0};
}

static const char *sent(json_t *expected, const regauth_step *step) {
  const char *name;
  json_t *value;
  size_t i;
  int token = step->hop == REGAUTH_HOP_TOKEN || step->hop == REGAUTH_HOP_TOKEN_REDIRECT;
  regauth_bytes url = step->url, query = {"", 0};
  const char *mark = memchr(url.ptr, '?', url.len);
  if (mark) {
    query = (regauth_bytes){mark + 1, url.len - (size_t)(mark + 1 - url.ptr)};
    if (token) url.len = (size_t)(mark - url.ptr);
  }
  const struct {
    const char *name;
    regauth_bytes came;
  } all[] = {{"hop", regauth_text(regauth_hop_name(step->hop))},
             {"method", step->method},
             {"url", url},
             {"identity", step->identity},
             {"authorization", field(step, "authorization")}};
  for (i = 0; i < sizeof all / sizeof *all; i++) {
    json_t *wanted = json_object_get(expected, all[i].name);
    if (wanted && !v_same(all[i].came, wanted)) {
      snprintf(why, sizeof why, "%s: came %.*s", all[i].name, (int)all[i].came.len, all[i].came.ptr);
      return why;
    }
  }
  const char *bad = NULL;
  if (json_object_get(expected, "query")) bad = pairs("query", json_object_get(expected, "query"), query);
  if (!bad && json_object_get(expected, "form"))
    bad = step->body == REGAUTH_BODY_FORM ? pairs("form", json_object_get(expected, "form"), step->form) : "no form";
  if (bad) return bad;
  json_object_foreach(json_object_get(expected, "headers"), name, value)
      if (!v_same(field(step, name), value)) return "another header";
  json_array_foreach(json_object_get(expected, "absent"), i, value)
      if (field(step, json_string_value(value)).ptr) return "a header that must be absent";
  return NULL;
}

static void answer(regauth_flow *flow, uint64_t now, json_t *given) {
  regauth_header fields[64];
  regauth_answer answer = {.struct_size = sizeof answer, .headers = fields};
  json_t *pair, *body = json_object_get(given, "body"), *url = json_object_get(given, "url");
  size_t i;
  answer.status = (uint32_t)json_integer_value(json_object_get(given, "status"));
  json_array_foreach(json_object_get(given, "headers"), i, pair) {
    json_t *name = json_array_get(pair, 0), *value = json_array_get(pair, 1);
    if (answer.headers_len < 64)
      fields[answer.headers_len++] = (regauth_header){{json_string_value(name), json_string_length(name)},
                                                      {json_string_value(value), json_string_length(value)}};
  }
  answer.body = (regauth_bytes){json_string_value(body), json_string_length(body)};
  answer.url = (regauth_bytes){json_string_value(url), json_string_length(url)};
  OK(regauth_flow_answer(flow, now, &answer));
}

static uint32_t failure_of(const char *name) {
  static const char *const names[] = {"",
                                      "connect",
                                      "timeout",
                                      "reset",
                                      "server-certificate",
                                      "tls-certificate-required",
                                      "tls-rejected",
                                      "tls",
                                      "address-refused"};
  for (uint32_t i = 1; i < 9; i++)
    if (!strcmp(names[i], name)) return i;
  return 0;
}

static const char *explained(regauth_flow *flow, json_t *step) {
  char *text = calloc(1, 1 << 16);
  size_t len = 0, i;
  json_t *one;
  const char *bad = NULL;
  OK(regauth_flow_explain(flow, text, (1 << 16) - 1, &len));
  json_array_foreach(json_object_get(step, "explain"), i, one)
      if (!strstr(text, json_string_value(one))) bad = "missing in the transcript";
  json_array_foreach(json_object_get(step, "hides"), i, one)
      if (strstr(text, json_string_value(one))) bad = "shown in the transcript";
  free(text);
  return bad;
}

static const char *one(running *r, uint64_t now, json_t *step) {
  regauth_step came = t_poll(r->flow, now);
  /* Twice: poll is idempotent. */
  came = t_poll(r->flow, now);
  json_t *part;
  if ((part = json_object_get(step, "send"))) {
    if (came.kind == REGAUTH_STEP_SEND) return sent(part, &came);
  } else if ((part = json_object_get(step, "answer"))) {
    answer(r->flow, now, part);
    t_poll(r->flow, now);
    return NULL;
  } else if (json_object_get(step, "fail")) {
    OK(regauth_flow_failed(r->flow, now, failure_of(get(step, "fail")), NULL));
    t_poll(r->flow, now);
    return NULL;
  } else if (json_object_get(step, "credentials")) {
    if (came.kind == REGAUTH_STEP_CREDENTIALS && t_is(came.registry, get(step, "credentials"))) return NULL;
  } else if ((part = json_object_get(step, "found"))) {
    const char *user, *secret;
    uint32_t kind = credentials(part, &user, &secret);
    OK(regauth_flow_credentials(r->flow, now, kind, REGAUTH_STR(user), REGAUTH_STR(secret), 0));
    t_poll(r->flow, now);
    return NULL;
  } else if (is(step, "wait")) {
    r->woken = 0;
    if (t_poll(r->flow, now).kind == REGAUTH_STEP_WAIT) return NULL;
  } else if (json_object_get(step, "dial")) {
    unsigned char ip[16];
    const char *to = get(step, "dial");
    regauth_status asked;
    if (inet_pton(AF_INET, to, ip) == 1)
      asked = regauth_flow_dial(r->flow, ip, 4);
    else if (inet_pton(AF_INET6, to, ip) == 1)
      asked = regauth_flow_dial(r->flow, ip, 16);
    else
      asked = regauth_flow_dial_proxied(r->flow);
    return (asked != REGAUTH_OK) == is(step, "refused") ? NULL : "another answer to dial";
  } else if ((part = json_object_get(step, "done"))) {
    if (came.kind == REGAUTH_STEP_DONE && came.status == (uint32_t)json_integer_value(part)) return NULL;
  } else if ((part = json_object_get(step, "failed"))) {
    regauth_error_info info = {.struct_size = sizeof info};
    if (came.kind == REGAUTH_STEP_FAILED && regauth_flow_error(r->flow, &info) == REGAUTH_OK) {
      if (strcmp(regauth_fault_name(info.fault), get(part, "fault"))) return "another fault";
      json_t *hop = json_object_get(part, "hop");
      if (hop && strcmp(info.hop ? regauth_hop_name(info.hop) : "", json_is_null(hop) ? "" : json_string_value(hop)))
        return "another hop";
      return NULL;
    }
  } else if (json_object_get(step, "explain")) {
    return explained(r->flow, step);
  } else {
    return "unknown step";
  }
  snprintf(why, sizeof why, "came step %u, hop %u, status %u", came.kind, came.hop, came.status);
  return why;
}

static running *find(running *all, const char *name) {
  for (int i = 0; i < 16; i++)
    if (all[i].flow && !strcmp(all[i].name, name)) return &all[i];
  return NULL;
}

const char *v_flow(json_t *line) {
  regauth_agent *agent = make(json_object_get(line, "config"));
  running all[16] = {0};
  uint64_t now = 1000000000000;
  const char *bad = NULL;
  static char where[4096];
  size_t number;
  json_t *step;
  json_array_foreach(json_object_get(line, "steps"), number, step) {
    const char *name = json_object_get(step, "flow") ? get(step, "flow") : "a";
    if (json_object_get(step, "at")) {
      now = (uint64_t)json_integer_value(json_object_get(step, "at"));
    } else if (json_object_get(step, "start")) {
      running *r = find(all, get(step, "start"));
      if (r) regauth_flow_free(r->flow);
      for (int i = 0; !r && i < 16; i++)
        if (!all[i].flow) r = &all[i];
      snprintf(r->name, sizeof r->name, "%s", get(step, "start"));
      r->woken = 0;
      r->flow = start(agent, step);
      OK(regauth_flow_on_wake(r->flow, wake, r, NULL));
    } else if (json_object_get(step, "drop")) {
      running *r = find(all, get(step, "drop"));
      regauth_flow_free(r->flow);
      r->flow = NULL;
    } else if (json_object_get(step, "woken")) {
      running *r = find(all, get(step, "woken"));
      if (!r || !r->woken) bad = "was not woken";
    } else {
      running *r = find(all, name);
      bad = r ? one(r, now, step) : "no such flow";
    }
    if (bad) {
      snprintf(where, sizeof where, "step %zu: %s", number, bad);
      bad = where;
      break;
    }
  }
  for (int i = 0; i < 16; i++) regauth_flow_free(all[i].flow);
  regauth_agent_free(agent);
  return bad;
}

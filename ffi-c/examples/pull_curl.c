/*
 * Pulls an image with libcurl: layer a. One handle, and so one pool of connections, for each TLS profile; redirects off,
 * since the flow follows them; every address is asked about before it is used.
 *
 *   cc pull_curl.c $(pkg-config --cflags --libs regauth libcurl) -o pull_curl
 *   ./pull_curl --cert client.pem --key client.key --user robot:s3cret -o out reg.example/app:1
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <unistd.h>

#include "common.h"

#define PROFILES 8

/* libcurl keeps connections by handle, and a handle has one client certificate: so one for each profile. */
static struct {
  uint32_t profile;
  CURL *curl;
} handles[PROFILES];
static size_t handles_len;

/* One answer, as it comes in. */
typedef struct {
  regauth_flow *flow;
  /* How much of the body the flow wants; the rest is the application's. */
  size_t wanted;
  /* Name and value one after the other, and where they end. */
  char *fields;
  size_t fields_len, ends[256][2], ends_len;
  uint32_t status;
  char *body;
  size_t body_len;
  int answered, done, refused;
  /* The application's. */
  FILE *file;
  char *text;
  size_t text_len;
} answer;

static void append(char **to, size_t *len, const char *from, size_t n) {
  *to = realloc(*to, *len + n + 1);
  if (!*to) abort();
  memcpy(*to + *len, from, n);
  *len += n;
  (*to)[*len] = 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg) {
  answer *a = arg;
  size_t len = size * n, name = 0, start, end = len;
  const char *space = len > 5 && !memcmp(line, "HTTP/", 5) ? memchr(line, ' ', len) : NULL;
  if (space) { /* "HTTP/2 200"; an interim answer may have come before */
    a->fields_len = a->ends_len = a->status = 0;
    for (space++; space < line + len && *space >= '0' && *space <= '9'; space++)
      a->status = a->status * 10 + (uint32_t)(*space - '0');
    return len;
  }
  while (name < len && line[name] != ':') name++;
  if (name == len || a->ends_len == sizeof a->ends / sizeof *a->ends) return len;
  for (start = name + 1; start < len && (line[start] == ' ' || line[start] == '\t'); start++) {
  }
  while (end > start && strchr(" \t\r\n", line[end - 1])) end--;
  append(&a->fields, &a->fields_len, line, name);
  a->ends[a->ends_len][0] = a->fields_len;
  append(&a->fields, &a->fields_len, line + start, end - start);
  a->ends[a->ends_len++][1] = a->fields_len;
  return len;
}

/* Tells the flow. Head and wanted body are all of it: a blob never goes through the library. */
static void give_answer(answer *a) {
  regauth_header fields[256];
  size_t at = 0;
  for (size_t i = 0; i < a->ends_len; i++) {
    fields[i].name = (regauth_bytes){a->fields + at, a->ends[i][0] - at};
    fields[i].value = (regauth_bytes){a->fields + a->ends[i][0], a->ends[i][1] - a->ends[i][0]};
    at = a->ends[i][1];
  }
  const regauth_answer given = {.struct_size = sizeof given,
                                .status = a->status,
                                .headers = fields,
                                .headers_len = a->ends_len,
                                .body = {a->body, a->body_len}};
  regauth_step step = {.struct_size = sizeof step};
  must(regauth_flow_answer(a->flow, now_ms(), &given), "answer");
  must(regauth_flow_poll(a->flow, now_ms(), &step), "poll");
  a->answered = 1;
  a->done = step.kind == REGAUTH_STEP_DONE;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg) {
  answer *a = arg;
  size_t len = size * n;
  if (a->wanted) {
    /* One byte more than wanted says that it is longer. */
    size_t room = a->wanted + 1 - a->body_len;
    append(&a->body, &a->body_len, bytes, len < room ? len : room);
    return len <= room ? len : 0;
  }
  if (!a->answered) give_answer(a);
  if (a->done) {
    fwrite(bytes, 1, len, a->file);
    if (a->text) append(&a->text, &a->text_len, bytes, len);
  }
  return len;
}

static regauth_status may_use(answer *a, int family, const void *address) {
  regauth_status allowed = regauth_flow_dial(a->flow, address, family == AF_INET ? 4 : 16);
  if (allowed != REGAUTH_OK) a->refused = 1;
  return allowed;
}

/* A new connection: before libcurl connects to this address. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to) {
  const void *address = to->family == AF_INET ? (const void *)&((struct sockaddr_in *)(void *)&to->addr)->sin_addr
                                              : (const void *)&((struct sockaddr_in6 *)(void *)&to->addr)->sin6_addr;
  (void)purpose;
  if ((to->family != AF_INET && to->family != AF_INET6) || may_use(arg, to->family, address) != REGAUTH_OK)
    return CURL_SOCKET_BAD;
  return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* A connection out of the pool may be at an address that will not do for this hop. */
static int on_request(void *arg, char *address, char *local, int port, int local_port) {
  unsigned char ip[16];
  (void)local;
  (void)port;
  (void)local_port;
  int family = inet_pton(AF_INET, address, ip) == 1 ? AF_INET : AF_INET6;
  if (family == AF_INET6 && inet_pton(AF_INET6, address, ip) != 1) return CURL_PREREQFUNC_ABORT;
  return may_use(arg, family, ip) == REGAUTH_OK ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static void check(CURLcode code, const char *what) {
  if (code == CURLE_OK) return;
  fprintf(stderr, "%s: %s\n", what, curl_easy_strerror(code));
  exit(1);
}

static struct curl_blob blob(regauth_bytes bytes) {
  return (struct curl_blob){(void *)(size_t)bytes.ptr, bytes.len, CURL_BLOB_COPY};
}

/* The handle of a profile: its roots and its first identity, and nothing of another profile's. */
static CURL *handle_for(regauth_agent *agent, uint32_t id) {
  regauth_profile *profile = NULL;
  regauth_profile_info info = {.struct_size = sizeof info};
  uint32_t newest = id;
  must(regauth_agent_newest(agent, id, &newest, &profile), "profile");
  for (size_t i = 0; i < handles_len; i++) {
    if (handles[i].profile != newest) continue;
    regauth_profile_free(profile);
    return handles[i].curl;
  }
  if (handles_len == PROFILES) exit(1);
  must(regauth_profile_get(profile, &info), "profile");
  CURL *curl = curl_easy_init();
  if (!curl) abort();
  if (info.roots == REGAUTH_ROOTS_PEM) {
    char *all = calloc(1, 1);
    size_t len = 0;
    regauth_bytes pem;
    for (size_t i = 0; i < info.roots_pem_len; i++) {
      must(regauth_profile_root(profile, i, &pem), "root");
      append(&all, &len, pem.ptr, pem.len);
    }
    struct curl_blob roots = blob((regauth_bytes){all, len});
    check(curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &roots), "roots");
    check(curl_easy_setopt(curl, CURLOPT_CAPATH, NULL), "roots");
    free(all);
  }
  if (info.flags & REGAUTH_HOST_SKIP_VERIFY) {
    check(curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L), "skip_verify");
    check(curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L), "skip_verify");
  }
  if (info.identities_len) {
    regauth_identity *identity = NULL;
    regauth_identity_info pem = {.struct_size = sizeof pem};
    must(regauth_profile_identity(profile, 0, &identity), "identity");
    must(regauth_identity_get(identity, &pem), "identity");
    struct curl_blob chain = blob(pem.chain_pem), key = blob(pem.key_pem);
    check(curl_easy_setopt(curl, CURLOPT_SSLCERT_BLOB, &chain), "certificate");
    check(curl_easy_setopt(curl, CURLOPT_SSLKEY_BLOB, &key), "key");
    regauth_identity_free(identity);
  }
  check(curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L), "redirects");
  check(curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https"), "protocols");
  check(curl_easy_setopt(curl, CURLOPT_PROXY, ""), "proxy");
  check(curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L), "time");
  check(curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header), "header");
  check(curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body), "body");
  check(curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket), "socket");
  check(curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_request), "request");
  regauth_profile_free(profile);
  handles[handles_len].profile = newest;
  handles[handles_len++].curl = curl;
  return curl;
}

static uint32_t failure_of(CURLcode code, const answer *a) {
  if (a->refused) return REGAUTH_FAILURE_ADDRESS_REFUSED;
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT: return REGAUTH_FAILURE_CONNECT;
    case CURLE_OPERATION_TIMEDOUT: return REGAUTH_FAILURE_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION: return REGAUTH_FAILURE_SERVER_CERTIFICATE;
    case CURLE_SSL_CONNECT_ERROR: return REGAUTH_FAILURE_TLS;
    default: return REGAUTH_FAILURE_RESET;
  }
}

/* Sends what the step says, and gives back what came of it. Nothing of the step lives longer than this. */
static void send_step(regauth_agent *agent, const regauth_step *step, answer *a) {
  CURL *curl = handle_for(agent, step->profile);
  struct curl_slist *fields = NULL;
  char line[8192], url[8200], method[32];
  snprintf(url, sizeof url, "%.*s", (int)step->url.len, step->url.ptr);
  snprintf(method, sizeof method, "%.*s", (int)step->method.len, step->method.ptr);
  for (size_t i = 0; i < step->headers_len; i++) {
    const regauth_header *field = &step->headers[i];
    snprintf(line, sizeof line, "%.*s: %.*s", (int)field->name.len, field->name.ptr, (int)field->value.len,
             field->value.ptr);
    fields = curl_slist_append(fields, line);
  }
  if (step->hop != REGAUTH_HOP_TOKEN && step->hop != REGAUTH_HOP_TOKEN_REDIRECT && a->text)
    fields = curl_slist_append(fields, "Accept: " MANIFESTS);
  a->wanted = step->answer_at_most;
  a->fields_len = a->ends_len = a->body_len = 0;
  a->answered = a->refused = 0;
  check(curl_easy_setopt(curl, CURLOPT_URL, url), "url");
  if (step->body == REGAUTH_BODY_FORM) {
    check(curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)step->form.len), "form");
    check(curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, step->form.ptr), "form");
  } else {
    check(curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L), "method");
  }
  check(curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method), "method");
  check(curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields), "fields");
  check(curl_easy_setopt(curl, CURLOPT_HEADERDATA, a), "answer");
  check(curl_easy_setopt(curl, CURLOPT_WRITEDATA, a), "answer");
  check(curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, a), "answer");
  check(curl_easy_setopt(curl, CURLOPT_PREREQDATA, a), "answer");
  CURLcode code = curl_easy_perform(curl);
  curl_slist_free_all(fields);
  memset(line, 0, sizeof line);
  if (a->answered) {
    if (code != CURLE_OK) {
      fprintf(stderr, "%s\n", curl_easy_strerror(code));
      exit(1);
    }
  } else if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && a->wanted)) {
    give_answer(a);
  } else {
    fprintf(stderr, "%s\n", curl_easy_strerror(code));
    must(regauth_flow_failed(a->flow, now_ms(), failure_of(code, a), NULL), "failed");
  }
}

/* One request of the application; its text, where that is wanted, to be freed. */
static char *get(regauth_agent *agent, const options *o, const char *url, const char *name, int text) {
  answer a = {.file = create(o, name), .text = text ? calloc(1, 1) : NULL};
  regauth_error *error = NULL;
  regauth_error_info why = {.struct_size = sizeof why};
  regauth_step step = {.struct_size = sizeof step};
  must_or_say(regauth_agent_request(agent, REGAUTH_STR("GET"), REGAUTH_STR(url), &a.flow, &error), error, url);
  do {
    must(regauth_flow_poll(a.flow, now_ms(), &step), "poll");
    if (step.kind == REGAUTH_STEP_SEND) {
      send_step(agent, &step, &a);
    } else if (step.kind == REGAUTH_STEP_CREDENTIALS) {
      must(regauth_flow_credentials(a.flow, now_ms(), REGAUTH_CREDENTIALS_NONE, NULL, 0, NULL, 0, 0), "credentials");
    } else if (step.kind == REGAUTH_STEP_WAIT) {
      usleep(step.until > now_ms() ? 10000 : 0);
    }
  } while (step.kind != REGAUTH_STEP_DONE && step.kind != REGAUTH_STEP_FAILED);
  if (step.kind == REGAUTH_STEP_FAILED && regauth_flow_error(a.flow, &why) == REGAUTH_OK) say(&why);
  if (step.kind == REGAUTH_STEP_DONE && step.status != 200)
    fprintf(stderr, "%s: the registry answered %u\n", name, step.status);
  int good = step.kind == REGAUTH_STEP_DONE && step.status == 200;
  if (!good || o->verbose) {
    char said[16384];
    size_t len = 0;
    if (regauth_flow_explain(a.flow, said, sizeof said, &len) == REGAUTH_OK)
      fprintf(stderr, "%s:\n%.*s", name, (int)len, said);
  }
  regauth_flow_free(a.flow);
  free(a.fields);
  free(a.body);
  if (fclose(a.file) || !good) exit(1);
  return a.text;
}

int main(int argc, char **argv) {
  const options o = parse_options(argc, argv);
  regauth_reference *image = NULL;
  regauth_error *error = NULL;
  regauth_reference_info parts = {.struct_size = sizeof parts};
  check(curl_global_init(CURL_GLOBAL_DEFAULT), "libcurl");
  must_or_say(regauth_reference_parse(REGAUTH_STR(o.image), &image, &error), error, o.image);
  must(regauth_reference_get(image, &parts), "image");
  regauth_agent *agent = make_agent(&o, parts.origin);
  char base[1024], url[2048];
  snprintf(base, sizeof base, "%.*s/v2/%.*s", (int)parts.origin.len, parts.origin.ptr, (int)parts.repository.len,
           parts.repository.ptr);
  snprintf(url, sizeof url, "%s/manifests/%.*s", base, (int)parts.reference.len, parts.reference.ptr);
  char *manifest = get(agent, &o, url, "manifest.json", 1);
  if (is_index(manifest)) {
    digests all = find_digests(manifest);
    free(manifest);
    if (!all.len) return 1;
    snprintf(url, sizeof url, "%s/manifests/%s", base, all.digest[0]);
    manifest = get(agent, &o, url, all.digest[0], 1);
  }
  digests blobs = find_digests(manifest);
  free(manifest);
  for (size_t i = 0; i < blobs.len; i++) {
    snprintf(url, sizeof url, "%s/blobs/%s", base, blobs.digest[i]);
    get(agent, &o, url, blobs.digest[i], 0);
  }
  printf("%zu blobs\n", blobs.len);
  for (size_t i = 0; i < handles_len; i++) curl_easy_cleanup(handles[i].curl);
  regauth_agent_free(agent);
  regauth_reference_free(image);
  curl_global_cleanup();
  return 0;
}

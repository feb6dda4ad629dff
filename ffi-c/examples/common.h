/* What both examples share: options, files, the configuration, and just enough JSON. */
#ifndef COMMON_H
#define COMMON_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "regauth.h"

#define MANIFESTS                                                                                    \
  "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "            \
  "application/vnd.docker.distribution.manifest.v2+json, "                                           \
  "application/vnd.docker.distribution.manifest.list.v2+json"
#define MAX_BLOBS 256

static inline uint64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline void must(regauth_status status, const char *what) {
  if (status == REGAUTH_OK) return;
  fprintf(stderr, "%s: %s\n", what, regauth_status_name(status));
  exit(1);
}

static inline void say(const regauth_error_info *why) {
  fprintf(stderr, "%.*s. %.*s\n", (int)why->what.len, why->what.ptr, (int)why->remedy.len, why->remedy.ptr);
}

/* For functions that give out an error. */
static inline void must_or_say(regauth_status status, regauth_error *error, const char *what) {
  regauth_error_info why = {.struct_size = sizeof why};
  if (status == REGAUTH_OK) return;
  if (regauth_error_get(error, &why) == REGAUTH_OK) say(&why);
  regauth_error_free(error);
  must(status, what);
}

static inline char *read_file(const char *path, size_t *len) {
  FILE *file = fopen(path, "rb");
  char *text = NULL;
  size_t cap = 0;
  *len = 0;
  if (!file) {
    perror(path);
    exit(1);
  }
  do {
    cap += 65536;
    text = realloc(text, cap + 1);
    if (!text) abort();
    *len += fread(text + *len, 1, cap - *len, file);
  } while (*len == cap);
  fclose(file);
  text[*len] = 0;
  return text;
}

typedef struct {
  const char *ca, *cert, *key, *user, *token, *storage, *out, *image;
  int lend, verbose;
} options;

static inline options parse_options(int argc, char **argv) {
  options o = {.out = "."};
  for (int i = 1; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    const struct {
      const char *name;
      const char **to;
    } all[] = {{"--ca", &o.ca},           {"--cert", &o.cert},         {"--key", &o.key}, {"--user", &o.user},
               {"--token-pair", &o.token}, {"--storage-pair", &o.storage}, {"-o", &o.out}};
    size_t at = 0, n = sizeof all / sizeof *all;
    while (at < n && strcmp(argv[i], all[at].name)) at++;
    if (at < n && value) {
      *all[at].to = value;
      i++;
    } else if (!strcmp(argv[i], "--lend")) {
      o.lend = 1;
    } else if (!strcmp(argv[i], "-v")) {
      o.verbose = 1;
    } else if (argv[i][0] != '-' && !o.image) {
      o.image = argv[i];
    } else {
      at = n;
      o.image = NULL;
      break;
    }
  }
  if (!o.image || !o.cert != !o.key) {
    fprintf(stderr,
            "usage: %s [--ca FILE] [--cert FILE --key FILE] [--user NAME:PASSWORD] [-o DIRECTORY] [-v]\n"
            "  [--token-pair ORIGIN] [--storage-pair ORIGIN] [--lend] IMAGE\n"
            "--lend: the registry's identity may be shown to the paired origins too\n",
            argv[0]);
    exit(2);
  }
  return o;
}

/* One host entry, its credentials, its pairs. */
static inline regauth_agent *make_agent(const options *o, regauth_bytes registry) {
  regauth_config *config = NULL;
  regauth_agent *agent = NULL;
  regauth_identity *identity = NULL;
  regauth_error *error = NULL;
  size_t len, key_len;
  must(regauth_config_new(&config), "config");
  if (o->ca) {
    regauth_bytes pem = {read_file(o->ca, &len), 0};
    pem.len = len;
    must(regauth_config_roots(config, REGAUTH_ROOTS_PEM, &pem, 1), "--ca");
    free((char *)pem.ptr);
  }
  if (o->cert) {
    char *chain = read_file(o->cert, &len), *key = read_file(o->key, &key_len);
    must_or_say(regauth_identity_from_pem(REGAUTH_STR(o->cert), chain, len, key, key_len, &identity, &error), error,
                "--cert");
    memset(key, 0, key_len);
    free(key);
    free(chain);
    const regauth_identity *identities[] = {identity};
    const regauth_bytes alpn[] = {regauth_text("http/1.1")};
    regauth_host host = {.struct_size = sizeof host,
                         .identities = identities,
                         .identities_len = 1,
                         .alpn = alpn,
                         .alpn_len = 1};
    must(regauth_config_host(config, registry.ptr, registry.len, &host), "host");
    regauth_identity_free(identity);
  }
  if (o->user) {
    const char *colon = strchr(o->user, ':');
    size_t user_len = colon ? (size_t)(colon - o->user) : strlen(o->user);
    must(regauth_config_credentials(config, registry.ptr, registry.len, REGAUTH_CREDENTIALS_BASIC, o->user, user_len,
                                    REGAUTH_STR(colon ? colon + 1 : "")),
         "--user");
  }
  uint32_t flags = REGAUTH_PAIR_LOCAL | (o->lend ? REGAUTH_PAIR_IDENTITY : 0u);
  if (o->token)
    must(regauth_config_pair(config, registry.ptr, registry.len, REGAUTH_PAIR_TOKEN, REGAUTH_STR(o->token), flags),
         "--token-pair");
  if (o->storage)
    must(regauth_config_pair(config, registry.ptr, registry.len, REGAUTH_PAIR_STORAGE, REGAUTH_STR(o->storage), flags),
         "--storage-pair");
  if (regauth_agent_new(config, &agent) != REGAUTH_OK) {
    regauth_error_info why = {.struct_size = sizeof why};
    if (regauth_config_error(config, &why) == REGAUTH_OK) say(&why);
    exit(1);
  }
  regauth_config_free(config);
  return agent;
}

typedef struct {
  char digest[MAX_BLOBS][72];
  size_t len;
} digests;

/* Every "digest" of a manifest, once. A program that pulls for others has a JSON parser, and checks what it gets. */
static inline digests find_digests(const char *text) {
  digests found;
  found.len = 0;
  while ((text = strstr(text, "\"digest\""))) {
    char one[72];
    size_t i;
    text += strlen("\"digest\"");
    if (sscanf(text, " : \"%71[a-z0-9:]\"", one) != 1) continue;
    for (i = 0; i < found.len && strcmp(found.digest[i], one); i++) {
    }
    if (i == found.len && i < MAX_BLOBS) memcpy(found.digest[found.len++], one, sizeof one);
  }
  return found;
}

static inline int is_index(const char *manifest) { return strstr(manifest, "\"manifests\"") != NULL; }

/* Where a blob or manifest is kept: the digest with a dash. */
static inline FILE *create(const options *o, const char *name) {
  char path[4096];
  size_t start = strlen(o->out) + 1;
  snprintf(path, sizeof path, "%s/%s", o->out, name);
  for (char *c = path + start; *c; c++)
    if (*c == ':') *c = '-';
  FILE *file = fopen(path, "wb");
  if (!file) {
    perror(path);
    exit(1);
  }
  return file;
}

#endif

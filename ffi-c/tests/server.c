/* The server half: certificates are minted, a token is issued to one of them, and a guard checks it. */
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "t.h"

static uint8_t entropy[32];

/* 32 other bytes, the same in every run. */
static const uint8_t *fresh(void) {
  entropy[0]++;
  memset(entropy + 1, 7, sizeof entropy - 1);
  return entropy;
}

static regauth_ca *make_ca(const char *name) {
  regauth_ca *ca = NULL;
  OK(regauth_ca_new(T_NOW, 3600, REGAUTH_STR(name), fresh(), &ca, NULL));
  return ca;
}

static regauth_peer *make_peer(const regauth_ca *ca, const char *uri) {
  regauth_issued *issued = NULL;
  regauth_issued_info info = {.struct_size = sizeof info};
  regauth_peer *peer = NULL;
  OK(regauth_ca_client(ca, REGAUTH_STR("builder"), REGAUTH_STR(uri), T_NOW, 3600, fresh(), &issued, NULL));
  OK(regauth_issued_get(issued, &info));
  CHECK(t_has(info.cert_pem, "BEGIN CERTIFICATE") && t_has(info.key_pem, "BEGIN PRIVATE KEY"));
  CHECK(info.not_after == T_NOW + 3600000);
  OK(regauth_peer_from_verified_der(info.cert_der.ptr, info.cert_der.len, REGAUTH_SOURCE_TLS, &peer, NULL));
  regauth_issued_free(issued);
  return peer;
}

struct world {
  regauth_ca *ca;
  regauth_signing_key *key;
  regauth_issuer *issuer;
  regauth_guard *guard;
  regauth_policy *policy;
  regauth_template *template;
};

static struct world make_world(void) {
  struct world world = {0};
  regauth_bytes service = regauth_text("reg.example");
  regauth_signing_key_info key = {.struct_size = sizeof key};
  regauth_key_ref thumbprint = {.struct_size = sizeof thumbprint, .kind = REGAUTH_KEY_THUMBPRINT};
  world.ca = make_ca("builders");
  OK(regauth_signing_key_generate(fresh(), &world.key, NULL));
  OK(regauth_signing_key_get(world.key, &key));
  regauth_trusted_key trusted = {.public_pem = key.public_pem};
  regauth_guard_config guard = {.struct_size = sizeof guard,
                                .realm = regauth_text("https://reg.example/token"),
                                .service = service,
                                .issuer = regauth_text("https://reg.example"),
                                .keys = &trusted,
                                .keys_len = 1,
                                .require_bound = 1};
  regauth_issuer_config issuer = {.struct_size = sizeof issuer,
                                  .issuer = regauth_text("https://reg.example"),
                                  .services = &service,
                                  .services_len = 1,
                                  .key = world.key,
                                  .reference = &thumbprint,
                                  .bind = REGAUTH_BIND_REQUIRED};
  OK(regauth_guard_new(&guard, &world.guard, NULL));
  OK(regauth_issuer_new(&issuer, &world.issuer, NULL));
  OK(regauth_policy_parse(REGAUTH_STR("builder builds/{build} pull,push"), &world.policy, NULL));
  OK(regauth_template_parse(REGAUTH_STR("spiffe://example.org/build/{build}"), REGAUTH_STR("builder"),
                            &world.template, NULL));
  return world;
}

static void free_world(struct world *world) {
  regauth_template_free(world->template);
  regauth_policy_free(world->policy);
  regauth_guard_free(world->guard);
  regauth_issuer_free(world->issuer);
  regauth_signing_key_free(world->key);
  regauth_ca_free(world->ca);
}

/* `Bearer ` and the token that a client with this certificate gets, to be freed. */
static char *token_of(const struct world *world, const regauth_peer *peer) {
  static const char *target = "/token?service=reg.example&scope=repository:builds/b-1:pull,push";
  static const uint8_t jti[16] = {1};
  regauth_call call = {
      .struct_size = sizeof call, .method = regauth_text("GET"), .target = regauth_text(target), .peer = peer};
  regauth_ask *ask = NULL;
  regauth_reply *reply = NULL;
  regauth_subject *subject = NULL;
  regauth_ask_info asked = {.struct_size = sizeof asked};
  regauth_reply_info info = {.struct_size = sizeof info};
  OK(regauth_issuer_read(world->issuer, &call, &ask, &reply));
  CHECK(ask && !reply);
  OK(regauth_ask_get(ask, &asked));
  CHECK(asked.has_peer == 1 && asked.credential == REGAUTH_CREDENTIAL_NONE && !asked.user.ptr);
  CHECK(t_is(asked.service, "reg.example") && t_is(asked.scopes, "repository:builds/b-1:pull,push"));
  OK(regauth_template_subject(world->template, peer, &subject));
  OK(regauth_issuer_issue(world->issuer, ask, subject, world->policy, T_NOW, jti, &reply));
  OK(regauth_reply_get(reply, &info));
  CHECK(info.verdict == REGAUTH_VERDICT_SEND && info.status == 200 && t_is(info.reason, "issued"));

  static const char *before = "\"token\":\"", *bearer = "Bearer ";
  char *body = calloc(1, info.body.len + 1), *bearing = NULL;
  memcpy(body, info.body.ptr, info.body.len);
  char *token = strstr(body, before);
  CHECK(token != NULL);
  if (token) {
    token += strlen(before);
    *strchr(token, '"') = 0;
    bearing = malloc(strlen(bearer) + strlen(token) + 1);
    strcpy(bearing, bearer);
    strcat(bearing, token);
  }
  free(body);
  regauth_reply_free(reply);
  regauth_subject_free(subject);
  regauth_ask_free(ask);
  return bearing;
}

/* What a guard says to a request, to be freed. */
static regauth_reply *check(const struct world *world, const char *method, const char *target,
                            const char *authorization, const regauth_peer *peer, uint64_t now,
                            regauth_reply_info *info) {
  regauth_bytes value = regauth_text(authorization);
  regauth_call call = {.struct_size = sizeof call,
                       .method = regauth_text(method),
                       .target = regauth_text(target),
                       .authorization = &value,
                       .authorization_len = authorization ? 1 : 0,
                       .peer = peer};
  regauth_reply *reply = NULL;
  OK(regauth_guard_check(world->guard, &call, now, &reply));
  info->struct_size = sizeof *info;
  OK(regauth_reply_get(reply, info));
  return reply;
}

static void a_bound_token_opens_what_it_names_and_nothing_else(void) {
  static const char *push = "/v2/builds/b-1/manifests/latest";
  struct world world = make_world();
  regauth_peer *peer = make_peer(world.ca, "spiffe://example.org/build/b-1");
  regauth_peer *thief = make_peer(world.ca, "spiffe://example.org/build/b-2");
  regauth_reply_info info;
  regauth_reply *reply = check(&world, "PUT", push, NULL, peer, T_NOW, &info);
  CHECK(info.verdict == REGAUTH_VERDICT_SEND && info.status == 401 && t_is(info.reason, "no-token"));
  int challenged = 0;
  for (size_t i = 0; i < info.headers_len; i++)
    challenged |= t_is(info.headers[i].name, "WWW-Authenticate") &&
                  t_is(info.headers[i].value,
                       "Bearer realm=\"https://reg.example/token\",service=\"reg.example\","
                       "scope=\"repository:builds/b-1:pull,push\"");
  CHECK(challenged && t_has(info.body, "UNAUTHORIZED"));
  regauth_reply_free(reply);

  char *token = token_of(&world, peer);
  reply = check(&world, "PUT", push, token, peer, T_NOW, &info);
  CHECK(info.verdict == REGAUTH_VERDICT_ALLOW && info.bound == 1 && info.issued_at == T_NOW);
  CHECK(t_is(info.subject, "spiffe://example.org/build/b-1") && info.jti.len > 0);
  CHECK(t_is(info.needed, "repository:builds/b-1:pull,push"));
  regauth_reply_free(reply);

  const struct {
    const char *method, *target, *reason;
    const regauth_peer *peer;
    uint64_t now;
  } refused[] = {
      {"PUT", push, "token-certificate", thief, T_NOW},
      {"PUT", push, "token-certificate", NULL, T_NOW},
      {"PUT", push, "token-expired", peer, T_NOW + 400000},
      {"PUT", "/v2/builds/b-2/manifests/latest", "scope", peer, T_NOW},
      {"DELETE", push, "scope", peer, T_NOW},
  };
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    reply = check(&world, refused[i].method, refused[i].target, token, refused[i].peer, refused[i].now, &info);
    CHECK(info.verdict == REGAUTH_VERDICT_SEND && info.status == 401);
    if (!t_is(info.reason, refused[i].reason))
      fprintf(stderr, "row %zu: came %.*s\n", i, (int)info.reason.len, info.reason.ptr);
    CHECK(t_is(info.reason, refused[i].reason));
    regauth_reply_free(reply);
  }
  reply = check(&world, "GET", "/healthz", token, peer, T_NOW, &info);
  CHECK(info.verdict == REGAUTH_VERDICT_NOT_REGISTRY && info.headers_len == 0);
  regauth_reply_free(reply);

  free(token);
  regauth_peer_free(thief);
  regauth_peer_free(peer);
  free_world(&world);
}

static void a_token_request_that_is_refused(void) {
  struct world world = make_world();
  const struct {
    const char *target, *authorization, *reason;
    uint32_t status;
  } rows[] = {
      {"/token?service=other", NULL, "service", 400},
      {"/token?service=reg.example&password=x", NULL, "parameter", 400},
      {"/token?service=reg.example", "Bearer x", "scheme", 401},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    regauth_bytes value = regauth_text(rows[i].authorization);
    regauth_call call = {.struct_size = sizeof call,
                         .method = regauth_text("GET"),
                         .target = regauth_text(rows[i].target),
                         .authorization = &value,
                         .authorization_len = rows[i].authorization ? 1 : 0};
    regauth_ask *ask = NULL;
    regauth_reply *reply = NULL;
    regauth_reply_info info = {.struct_size = sizeof info};
    OK(regauth_issuer_read(world.issuer, &call, &ask, &reply));
    CHECK(!ask && reply);
    OK(regauth_reply_get(reply, &info));
    if (info.status != rows[i].status || !t_is(info.reason, rows[i].reason))
      fprintf(stderr, "row %zu: came %u, %.*s\n", i, info.status, (int)info.reason.len, info.reason.ptr);
    CHECK(info.status == rows[i].status && t_is(info.reason, rows[i].reason));
    regauth_reply_free(reply);
  }

  regauth_bytes basic = regauth_text("Basic dXNlcjpzM2NyM3Q="); /* user:s3cr3t */
  regauth_call call = {.struct_size = sizeof call,
                       .method = regauth_text("GET"),
                       .target = regauth_text("/token?scope=repository:library/a:pull"),
                       .authorization = &basic,
                       .authorization_len = 1};
  regauth_ask *ask = NULL;
  regauth_reply *reply = NULL;
  regauth_subject *subject = NULL;
  regauth_ask_info asked = {.struct_size = sizeof asked};
  regauth_reply_info info = {.struct_size = sizeof info};
  static const uint8_t jti[16] = {2};
  OK(regauth_issuer_read(world.issuer, &call, &ask, &reply));
  OK(regauth_ask_get(ask, &asked));
  CHECK(asked.credential == REGAUTH_CREDENTIAL_BASIC && t_is(asked.user, "user") && t_is(asked.secret, "s3cr3t"));
  OK(regauth_issuer_refuse(world.issuer, ask, REGAUTH_REFUSE_TOO_MANY, 7, &reply));
  OK(regauth_reply_get(reply, &info));
  CHECK(info.status == 429 && !t_has(info.body, "s3cr3t"));
  regauth_reply_free(reply);
  IS(regauth_issuer_refuse(world.issuer, ask, 9, 0, &reply), REGAUTH_INPUT);
  /* Tokens are bound here, and no certificate was shown. */
  regauth_bytes may = regauth_text("repository:library/a:pull"), bad = {NULL, 0};
  OK(regauth_subject_new(REGAUTH_STR("user"), &subject, NULL));
  OK(regauth_issuer_issue_scopes(world.issuer, ask, subject, &may, 1, T_NOW, jti, &reply));
  OK(regauth_reply_get(reply, &info));
  CHECK(info.status == 401 && t_is(info.reason, "token-unbound"));
  regauth_reply_free(reply);
  IS(regauth_issuer_issue_scopes(world.issuer, ask, subject, &bad, 1, T_NOW, jti, &reply), REGAUTH_INPUT);
  regauth_subject_free(subject);
  regauth_ask_free(ask);
  free_world(&world);
}

static void by_certificate_alone(void) {
  struct world world = make_world();
  regauth_subject *subject = NULL;
  regauth_reply *reply = NULL;
  regauth_reply_info info = {.struct_size = sizeof info};
  OK(regauth_subject_new(REGAUTH_STR("b-1"), &subject, NULL));
  OK(regauth_subject_role(subject, REGAUTH_STR("builder")));
  OK(regauth_subject_bind(subject, REGAUTH_STR("build"), REGAUTH_STR("b-1")));
  IS(regauth_subject_bind(subject, REGAUTH_STR("build"), REGAUTH_STR("b-2")), REGAUTH_INPUT);
  IS(regauth_subject_bind(subject, REGAUTH_STR("other"), REGAUTH_STR("../b-2")), REGAUTH_INPUT);
  IS(regauth_subject_role(subject, REGAUTH_STR("anonymous")), REGAUTH_INPUT);
  OK(regauth_subject_until(subject, T_NOW + 1));
  const struct {
    const char *target;
    uint32_t verdict, status;
  } rows[] = {
      {"/v2/builds/b-1/blobs/uploads/", REGAUTH_VERDICT_ALLOW, 0},
      {"/v2/builds/b-2/blobs/uploads/", REGAUTH_VERDICT_SEND, 403},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    regauth_call call = {
        .struct_size = sizeof call, .method = regauth_text("POST"), .target = regauth_text(rows[i].target)};
    OK(regauth_guard_check_direct(world.guard, &call, subject, world.policy, &reply));
    OK(regauth_reply_get(reply, &info));
    CHECK(info.verdict == rows[i].verdict && info.status == rows[i].status);
    regauth_reply_free(reply);
  }
  regauth_subject_free(subject);
  free_world(&world);
}

static void keys_and_certificates_of_tokens(void) {
  regauth_signing_key *key = NULL, *same = NULL;
  regauth_signing_key_info info = {.struct_size = sizeof info}, again = {.struct_size = sizeof again};
  OK(regauth_signing_key_generate(fresh(), &key, NULL));
  OK(regauth_signing_key_get(key, &info));
  OK(regauth_signing_key_from_pem(info.private_pem.ptr, info.private_pem.len, &same, NULL));
  OK(regauth_signing_key_get(same, &again));
  CHECK(info.thumbprint.len == 43 && info.thumbprint.len == again.thumbprint.len &&
        memcmp(info.thumbprint.ptr, again.thumbprint.ptr, 43) == 0);
  CHECK(t_has(info.public_pem, "BEGIN PUBLIC KEY") && info.libtrust_id.len == 59);

  char der[2048], pem[4096], jwks[1024];
  size_t len = 0, pem_len = 0;
  IS(regauth_token_certificate(key, REGAUTH_STR("tokens"), T_NOW, 86400, fresh(), der, 10, &len, NULL),
     REGAUTH_SPACE);
  OK(regauth_token_certificate(key, REGAUTH_STR("tokens"), T_NOW, 86400, entropy, der, sizeof der, &len, NULL));
  OK(regauth_certificate_pem(der, len, pem, sizeof pem, &pem_len));
  CHECK(t_has((regauth_bytes){pem, pem_len}, "BEGIN CERTIFICATE"));
  regauth_bytes chain = {der, len};
  regauth_key_ref x5c = {.struct_size = sizeof x5c, .kind = REGAUTH_KEY_X5C, .chain = &chain, .chain_len = 1};
  regauth_bytes service = regauth_text("reg");
  regauth_issuer_config config = {.struct_size = sizeof config,
                                  .issuer = regauth_text("iss"),
                                  .services = &service,
                                  .services_len = 1,
                                  .key = key,
                                  .reference = &x5c};
  regauth_issuer *issuer = NULL;
  OK(regauth_issuer_new(&config, &issuer, NULL));
  regauth_issuer_free(issuer);

  /* The chain of another key. */
  regauth_error *error = NULL;
  regauth_error_info said = {.struct_size = sizeof said};
  regauth_signing_key *other = NULL;
  OK(regauth_signing_key_generate(fresh(), &other, NULL));
  config.key = other;
  IS(regauth_issuer_new(&config, &issuer, &error), REGAUTH_FAILED);
  OK(regauth_error_get(error, &said));
  CHECK(said.kind == REGAUTH_ERROR_SETUP && t_has(said.what, "x5c") && said.remedy.len > 0);
  regauth_error_free(error);

  regauth_key_ref kid = {.struct_size = sizeof kid, .kind = REGAUTH_KEY_KID, .kid = regauth_text("key-1")};
  OK(regauth_signing_key_jwks(key, &kid, jwks, sizeof jwks, &len, NULL));
  CHECK(t_has((regauth_bytes){jwks, len}, "\"kid\":\"key-1\""));
  kid.kind = 9;
  IS(regauth_signing_key_jwks(key, &kid, jwks, sizeof jwks, &len, NULL), REGAUTH_INPUT);
  regauth_signing_key_free(other);
  regauth_signing_key_free(same);
  regauth_signing_key_free(key);
}

static void the_files_of_a_buildkitd(void) {
  const regauth_bytes names[] = {regauth_text("builder.example"), regauth_text("127.0.0.1")};
  regauth_bundle *bundle = NULL;
  regauth_named named = {.struct_size = sizeof named};
  size_t files = 0, commands = 0;
  OK(regauth_bundle_buildkitd(names, 2, REGAUTH_STR("spiffe://example.org/b/1"), T_NOW, 600, fresh(), &bundle, NULL));
  while (regauth_bundle_file(bundle, files, &named) == REGAUTH_OK) files++;
  CHECK(files == 7 && t_is(named.name, "health-check.key"));
  while (regauth_bundle_command(bundle, REGAUTH_STR("/run/pki"), 1234, commands, &named) == REGAUTH_OK) {
    CHECK(t_has(named.contents, commands == 0 ? "tcp://0.0.0.0:1234" : "tcp://builder.example:1234"));
    commands++;
  }
  CHECK(commands == 4);
  regauth_bundle_free(bundle);

  regauth_error *error = NULL;
  regauth_error_info said = {.struct_size = sizeof said};
  IS(regauth_bundle_buildkitd(names, 2, NULL, 0, T_NOW, 90000, fresh(), &bundle, &error), REGAUTH_FAILED);
  OK(regauth_error_get(error, &said));
  CHECK(t_has(said.what, "a day") || t_has(said.what, "86400"));
  regauth_error_free(error);
}

static void a_key_that_is_somewhere_else(void) {
  regauth_ca *ca = make_ca("devices");
  regauth_issued_info info = {.struct_size = sizeof info};
  regauth_issued *issued = NULL;
  OK(regauth_ca_get(ca, &info));
  CHECK(t_has(info.cert_pem, "BEGIN CERTIFICATE") && !info.key_pem.ptr);
  IS(regauth_ca_client_for(ca, REGAUTH_STR("no key"), REGAUTH_STR("x"), NULL, 0, T_NOW, 60, fresh(), &issued, NULL),
     REGAUTH_FAILED);
  const regauth_bytes names[] = {regauth_text("reg.example")};
  OK(regauth_ca_server(ca, names, 1, T_NOW, 60, fresh(), &issued, NULL));
  OK(regauth_issued_get(issued, &info));
  CHECK(info.not_after == T_NOW + 60000);
  regauth_issued_free(issued);
  IS(regauth_ca_server(ca, names, 0, T_NOW, 60, fresh(), &issued, NULL), REGAUTH_FAILED);
  regauth_ca_free(ca);
}

/* The DER signature that OpenSSL makes with a key, PEM, over the input. */
static size_t signature_of(regauth_bytes pem, regauth_bytes input, uint8_t *out, size_t cap) {
  BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
  EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  size_t len = cap;
  CHECK(key && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1);
  CHECK(EVP_DigestSign(context, out, &len, (const uint8_t *)input.ptr, input.len) == 1);
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  BIO_free(bio);
  return len;
}

static void a_key_of_tokens_that_is_held_elsewhere(void) {
  struct world world = make_world();
  regauth_signing_key *elsewhere = NULL, *other = NULL;
  regauth_signing_key_info here = {.struct_size = sizeof here}, info = {.struct_size = sizeof info},
                           others = {.struct_size = sizeof others};
  OK(regauth_signing_key_get(world.key, &here));
  OK(regauth_signing_key_generate(fresh(), &other, NULL));
  OK(regauth_signing_key_get(other, &others));
  OK(regauth_signing_key_from_public_pem(here.public_pem.ptr, here.public_pem.len, &elsewhere, NULL));
  OK(regauth_signing_key_get(elsewhere, &info));
  CHECK(!info.private_pem.ptr && info.thumbprint.len == 43 && !memcmp(info.thumbprint.ptr, here.thumbprint.ptr, 43));
  char der[2048];
  size_t len = 0;
  IS(regauth_token_certificate(elsewhere, REGAUTH_STR("x"), T_NOW, 60, fresh(), der, sizeof der, &len, NULL),
     REGAUTH_INPUT);
  regauth_error *error = NULL;
  regauth_error_info said = {.struct_size = sizeof said};
  IS(regauth_signing_key_from_public_pem(here.private_pem.ptr, here.private_pem.len, &other, &error), REGAUTH_FAILED);
  OK(regauth_error_get(error, &said));
  CHECK(t_has(said.what, "public key"));
  regauth_error_free(error);

  regauth_bytes service = regauth_text("reg.example");
  regauth_key_ref thumbprint = {.struct_size = sizeof thumbprint, .kind = REGAUTH_KEY_THUMBPRINT};
  regauth_issuer_config config = {.struct_size = sizeof config,
                                  .issuer = regauth_text("https://reg.example"),
                                  .services = &service,
                                  .services_len = 1,
                                  .key = elsewhere,
                                  .reference = &thumbprint};
  regauth_issuer *issuer = NULL;
  OK(regauth_issuer_new(&config, &issuer, NULL));
  regauth_call call = {.struct_size = sizeof call,
                       .method = regauth_text("GET"),
                       .target = regauth_text("/token?scope=repository:library/a:pull")};
  regauth_ask *ask = NULL;
  regauth_reply *reply = NULL;
  regauth_subject *subject = NULL;
  regauth_unsigned *token = NULL;
  regauth_unsigned_info what = {.struct_size = sizeof what};
  regauth_reply_info answer = {.struct_size = sizeof answer};
  regauth_bytes may = regauth_text("repository:library/a:pull");
  static const uint8_t jti[16] = {3};
  uint8_t signature[80];
  OK(regauth_issuer_read(issuer, &call, &ask, &reply));
  OK(regauth_subject_new(REGAUTH_STR("user"), &subject, NULL));
  OK(regauth_issuer_issue_scopes(issuer, ask, subject, &may, 1, T_NOW, jti, &reply));
  OK(regauth_reply_get(reply, &answer));
  CHECK(answer.status == 500 && t_is(answer.reason, "key-elsewhere"));
  regauth_reply_free(reply);

  /* By a policy, and by the host's own. */
  for (int own = 0; own < 2; own++) {
    reply = NULL;
    if (own)
      OK(regauth_issuer_prepare_scopes(issuer, ask, subject, &may, 1, T_NOW, jti, &token, &reply));
    else
      OK(regauth_issuer_prepare(issuer, ask, subject, world.policy, T_NOW, jti, &token, &reply));
    CHECK(token && !reply);
    OK(regauth_unsigned_get(token, &what));
    unsigned char digest[32];
    unsigned digest_len = 0;
    CHECK(EVP_Digest(what.signing_input.ptr, what.signing_input.len, digest, &digest_len, EVP_sha256(), NULL) == 1);
    CHECK(digest_len == 32 && memcmp(digest, what.digest, 32) == 0);
    const struct {
      regauth_bytes key;
      size_t cut;
      const char *reason;
      uint32_t status;
    } rows[] = {
        {others.private_pem, 0, "signature-key", 500},
        {here.private_pem, 1, "signature-syntax", 500},
        {here.private_pem, 0, "issued", 200},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
      size_t made = signature_of(rows[i].key, what.signing_input, signature, sizeof signature) - rows[i].cut;
      OK(regauth_issuer_finish(issuer, token, signature, made, &reply));
      OK(regauth_reply_get(reply, &answer));
      CHECK(answer.status == rows[i].status && t_is(answer.reason, rows[i].reason));
      CHECK(t_has(answer.body, "\"token\":") == (rows[i].status == 200));
      regauth_reply_free(reply);
    }
    IS(regauth_issuer_finish(issuer, token, NULL, 4, &reply), REGAUTH_NULL);
    IS(regauth_issuer_finish(issuer, NULL, signature, 4, &reply), REGAUTH_NULL);
    IS(regauth_issuer_finish(NULL, token, signature, 4, &reply), REGAUTH_NULL);
    regauth_unsigned_free(token);
  }
  /* What is refused needs no signature. */
  IS(regauth_issuer_prepare(issuer, ask, subject, NULL, T_NOW, jti, &token, &reply), REGAUTH_NULL);
  regauth_unsigned_free(NULL);
  regauth_ask_free(ask);
  regauth_subject_free(subject);
  OK(regauth_issuer_read(world.issuer, &call, &ask, &reply));
  OK(regauth_subject_new(REGAUTH_STR("user"), &subject, NULL));
  OK(regauth_issuer_prepare_scopes(world.issuer, ask, subject, &may, 1, T_NOW, jti, &token, &reply));
  CHECK(!token && reply);
  OK(regauth_reply_get(reply, &answer));
  CHECK(answer.status == 401 && t_is(answer.reason, "token-unbound"));
  regauth_reply_free(reply);
  regauth_subject_free(subject);
  regauth_ask_free(ask);
  regauth_issuer_free(issuer);
  regauth_signing_key_free(other);
  regauth_signing_key_free(elsewhere);
  free_world(&world);
}

static void null_everywhere(void) {
  struct world world = make_world();
  regauth_reply *reply = NULL;
  regauth_call call = {.struct_size = sizeof call};
  IS(regauth_guard_check(NULL, &call, T_NOW, &reply), REGAUTH_NULL);
  IS(regauth_guard_check(world.guard, NULL, T_NOW, &reply), REGAUTH_NULL);
  IS(regauth_guard_check(world.guard, &call, T_NOW, NULL), REGAUTH_NULL);
  call.struct_size = 3;
  IS(regauth_guard_check(world.guard, &call, T_NOW, &reply), REGAUTH_INPUT);
  IS(regauth_guard_check_direct(world.guard, &call, NULL, world.policy, &reply), REGAUTH_NULL);
  IS(regauth_issuer_issue(world.issuer, NULL, NULL, NULL, T_NOW, NULL, NULL), REGAUTH_NULL);
  IS(regauth_ca_new(T_NOW, 60, REGAUTH_STR("x"), NULL, &world.ca, NULL), REGAUTH_NULL);
  IS(regauth_signing_key_generate(NULL, &world.key, NULL), REGAUTH_NULL);
  regauth_peer *peer = NULL;
  IS(regauth_peer_from_verified_der(REGAUTH_STR("no certificate"), REGAUTH_SOURCE_TLS, &peer, NULL), REGAUTH_FAILED);
  IS(regauth_peer_from_verified_der(REGAUTH_STR("x"), 9, &peer, NULL), REGAUTH_INPUT);
  uint8_t print[32] = {4};
  OK(regauth_peer_from_proxy_sha256(print, &peer));
  regauth_peer_info info = {.struct_size = sizeof info};
  OK(regauth_peer_get(peer, &info));
  CHECK(memcmp(info.sha256, print, 32) == 0 && !info.spiffe.ptr && info.not_after == 0);
  regauth_subject *subject = NULL;
  IS(regauth_template_subject(world.template, peer, &subject), REGAUTH_NONE);
  regauth_peer_free(peer);
  regauth_policy *policy = NULL;
  regauth_error *error = NULL;
  regauth_error_info said = {.struct_size = sizeof said};
  IS(regauth_policy_parse(REGAUTH_STR("a b pull\nanonymous x push"), &policy, &error), REGAUTH_FAILED);
  OK(regauth_error_get(error, &said));
  CHECK(t_has(said.what, "line 2"));
  regauth_error_free(error);
  regauth_reply_free(NULL);
  regauth_ask_free(NULL);
  regauth_subject_free(NULL);
  regauth_bundle_free(NULL);
  regauth_issued_free(NULL);
  regauth_peer_free(NULL);
  free_world(&world);
}

int main(void) {
  a_bound_token_opens_what_it_names_and_nothing_else();
  a_token_request_that_is_refused();
  by_certificate_alone();
  keys_and_certificates_of_tokens();
  the_files_of_a_buildkitd();
  a_key_that_is_somewhere_else();
  a_key_of_tokens_that_is_held_elsewhere();
  null_everywhere();
  return t_end("server");
}

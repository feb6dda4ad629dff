/* Layer b against OpenSSL: identities from PEM and from a sign function, evidence, resumption, rejection. */
#include <time.h>

#include "peer.h"

#define N ((void *)0)
#define NOW ((uint64_t)time(N) * 1000)

typedef struct {
  EVP_PKEY *key;
  int calls, dropped, fail;
  regauth_tls *intrude;
} signer;

static int32_t sign(void *arg, uint16_t scheme, const void *message, size_t message_len, void *signature, size_t cap,
                    size_t *len) {
  signer *s = arg;
  s->calls++;
  CHECK(scheme == 0x0403);
  if (s->fail) return s->fail;
  if (s->intrude) {
    /* What must not be done does no harm. */
    regauth_tls_step step = {.struct_size = sizeof step};
    IS(regauth_tls_poll(s->intrude, NOW, &step), REGAUTH_MISUSE);
    IS(regauth_tls_filled(s->intrude, 0), REGAUTH_MISUSE);
  }
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  *len = cap;
  int good = EVP_DigestSignInit(context, N, EVP_sha256(), N, s->key) == 1 &&
             EVP_DigestSign(context, signature, len, message, message_len) == 1;
  EVP_MD_CTX_free(context);
  return good ? 0 : 1;
}

static void dropped(void *arg) { ((signer *)arg)->dropped++; }

static regauth_profile *profile_of(const pair *ca, regauth_identity *identity, uint32_t version) {
  regauth_profile *profile = N;
  const regauth_bytes pem[] = {regauth_text(ca->cert_pem)}, alpn[] = {regauth_text("http/1.1")};
  const regauth_identity *identities[] = {identity};
  const regauth_settings settings = {.struct_size = sizeof settings,
                                     .roots = REGAUTH_ROOTS_PEM,
                                     .roots_pem = pem,
                                     .roots_pem_len = 1,
                                     .identities = identities,
                                     .identities_len = identity ? 1 : 0,
                                     .alpn = alpn,
                                     .alpn_len = 1,
                                     .min_version = version,
                                     .max_version = version};
  OK(regauth_profile_new(&settings, &profile));
  return profile;
}

static regauth_tls *connect_to(regauth_profile *profile) {
  regauth_tls *tls = N;
  OK(regauth_tls_connect(profile, 0, REGAUTH_STR("https://reg.example"), NOW, &tls, N));
  return tls;
}

/* Carries bytes until both wait for the other, or the client is at its end; gives the client's last step. What the server
 * reads goes back in capitals. */
static uint32_t talk(regauth_tls *tls, SSL *server, const char *send, char *got, size_t cap) {
  size_t sent = 0, received = 0;
  for (int idle = 0; idle < 3;) {
    regauth_tls_step step = {.struct_size = sizeof step};
    char buf[4096];
    int n;
    idle++;
    OK(regauth_tls_poll(tls, NOW, &step));
    if (step.kind == REGAUTH_TLS_WRITE) {
      n = BIO_write(SSL_get_rbio(server), step.bytes.ptr, (int)step.bytes.len);
      OK(regauth_tls_wrote(tls, (size_t)n));
      idle = 0;
    } else if (step.kind == REGAUTH_TLS_PLAIN) {
      for (size_t i = 0; i < step.bytes.len && received + 1 < cap; i++) got[received++] = step.bytes.ptr[i];
      OK(regauth_tls_took(tls, step.bytes.len));
      idle = 0;
    } else if (step.kind != REGAUTH_TLS_READ) {
      got[received] = 0;
      return step.kind;
    }
    if (step.ready && sent < strlen(send)) {
      size_t taken = 0;
      OK(regauth_tls_send(tls, send + sent, strlen(send) - sent, &taken));
      sent += taken;
      if (taken) idle = 0;
    }
    if ((n = SSL_read(server, buf, sizeof buf)) > 0) {
      for (int i = 0; i < n; i++) buf[i] = (char)(buf[i] & ~0x20);
      SSL_write(server, buf, n);
    }
    ERR_clear_error();
    regauth_space space;
    OK(regauth_tls_space(tls, &space));
    if (space.len && (n = BIO_read(SSL_get_wbio(server), space.ptr, space.len > 1000 ? 1000 : (int)space.len)) > 0) {
      OK(regauth_tls_filled(tls, (size_t)n));
      idle = 0;
    }
  }
  got[received] = 0;
  return REGAUTH_TLS_READ;
}

static void shows(regauth_tls *tls, uint32_t version, const char *label, int resumed) {
  regauth_evidence seen = {.struct_size = sizeof seen};
  OK(regauth_tls_evidence(tls, &seen));
  CHECK(seen.version == version && seen.shown == REGAUTH_SHOWN_PAIR && seen.pair == 1 && seen.alert == 0);
  CHECK(seen.lines_len == 2 && t_is(seen.lines[0], label) && t_has(seen.lines[1], "CN=ca"));
  CHECK(seen.hints_len == 1 && t_has(seen.hints[0], "CN=ca"));
  CHECK(seen.flags & REGAUTH_EVIDENCE_ACCEPTED);
  CHECK(!(seen.flags & REGAUTH_EVIDENCE_RESUMED) == !resumed);
}

static void good(const pair *ca, const pair *server, const pair *client, uint32_t version, int openssl) {
  SSL_CTX *context = peer_server(server, ca, openssl);
  regauth_identity *identity = N;
  regauth_identity_info info = {.struct_size = sizeof info};
  OK(regauth_identity_from_pem(REGAUTH_STR("builder"), REGAUTH_STR(client->cert_pem), REGAUTH_STR(client->key_pem),
                               &identity, N));
  OK(regauth_identity_get(identity, &info));
  CHECK(t_is(info.chain_pem, client->cert_pem) && t_is(info.key_pem, client->key_pem) && info.client_auth == 1);
  CHECK(info.not_before < NOW && info.not_after > NOW);
  regauth_profile *profile = profile_of(ca, identity, version);
  regauth_identity_free(identity);
  char got[64];
  for (int round = 0; round < 2; round++) {
    SSL *ssl = peer_accept(context);
    regauth_tls *tls = connect_to(profile);
    CHECK(talk(tls, ssl, "hello", got, sizeof got) == REGAUTH_TLS_READ && !strcmp(got, "HELLO"));
    X509 *shown = SSL_get1_peer_certificate(ssl);
    CHECK(shown && X509_cmp(shown, client->cert) == 0);
    X509_free(shown);
    shows(tls, version, "builder", round == 1);
    regauth_bytes alpn;
    IS(regauth_tls_alpn(tls, &alpn), REGAUTH_NONE);
    OK(regauth_tls_release(tls));
    if (round == 0) {
      OK(regauth_tls_close(tls));
      CHECK(talk(tls, ssl, "", got, sizeof got) == REGAUTH_TLS_CLOSED);
      CHECK(SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN);
    } else {
      SSL_shutdown(ssl);
      CHECK(talk(tls, ssl, "", got, sizeof got) == REGAUTH_TLS_CLOSED);
    }
    regauth_tls_free(tls);
    SSL_free(ssl);
  }
  regauth_profile_free(profile);
  SSL_CTX_free(context);
}

static void signs(const pair *ca, const pair *server, const pair *client, uint32_t version, int openssl) {
  SSL_CTX *context = peer_server(server, ca, openssl);
  static const uint16_t schemes[] = {0x0403};
  char got[64];
  for (int fail = 0; fail < 2; fail++) {
    signer s = {.key = client->key, .fail = fail * 7};
    regauth_identity *identity = N;
    OK(regauth_identity_with_signer(REGAUTH_STR("token"), REGAUTH_STR(client->cert_pem), schemes, 1, sign, &s, dropped,
                                    &identity, N));
    regauth_profile *profile = profile_of(ca, identity, version);
    regauth_identity_free(identity);
    SSL *ssl = peer_accept(context);
    regauth_tls *tls = connect_to(profile);
    s.intrude = tls;
    uint32_t end = talk(tls, ssl, "hello", got, sizeof got);
    CHECK(s.calls == 1);
    if (fail) {
      regauth_error_info why = {.struct_size = sizeof why};
      CHECK(end == REGAUTH_TLS_FAILED);
      OK(regauth_tls_error(tls, &why));
      CHECK(why.kind == REGAUTH_ERROR_TLS && why.fault == REGAUTH_FAULT_LOCAL && t_has(why.what, "7"));
    } else {
      CHECK(end == REGAUTH_TLS_READ && !strcmp(got, "HELLO"));
      shows(tls, version, "token", 0);
    }
    regauth_tls_free(tls);
    CHECK(s.dropped == 0);
    regauth_profile_free(profile);
    CHECK(s.dropped == 1);
    SSL_free(ssl);
  }
  SSL_CTX_free(context);
}

static void rejected(const pair *ca, const pair *server, const pair *other) {
  SSL_CTX *context = peer_server(server, ca, 0);
  char got[64];
  regauth_error_info why = {.struct_size = sizeof why};
  regauth_evidence seen = {.struct_size = sizeof seen};
  /* No certificate; then a server that nobody trusts. */
  for (int round = 0; round < 2; round++) {
    regauth_profile *profile = profile_of(round ? other : ca, N, 0);
    SSL *ssl = peer_accept(context);
    regauth_tls *tls = connect_to(profile);
    CHECK(talk(tls, ssl, "hello", got, sizeof got) == REGAUTH_TLS_FAILED);
    OK(regauth_tls_error(tls, &why));
    OK(regauth_tls_evidence(tls, &seen));
    if (round == 0) {
      CHECK(why.failure == REGAUTH_FAILURE_CERTIFICATE_REQUIRED && seen.alert == 116);
      CHECK(seen.shown == REGAUTH_SHOWN_NO_PAIR && seen.hints_len == 1);
    } else {
      CHECK(why.failure == REGAUTH_FAILURE_SERVER_CERTIFICATE && why.remedy.len);
    }
    /* After failure every call does nothing. */
    size_t taken = 9;
    OK(regauth_tls_send(tls, "x", 1, &taken));
    CHECK(taken == 0);
    OK(regauth_tls_filled(tls, 99));
    OK(regauth_tls_close(tls));
    CHECK(talk(tls, ssl, "", got, sizeof got) == REGAUTH_TLS_FAILED);
    regauth_tls_free(tls);
    SSL_free(ssl);
    regauth_profile_free(profile);
  }
  SSL_CTX_free(context);
}

static void misuse(const pair *ca, const pair *client, const pair *other) {
  regauth_identity *identity = N;
  regauth_error *error = N;
  regauth_error_info why = {.struct_size = sizeof why};
  regauth_tls_step step = {.struct_size = sizeof step};
  regauth_space space;
  regauth_tls *tls = N;
  signer s = {0};
  static const uint16_t schemes[] = {0x0403};
  IS(regauth_identity_from_pem(N, 0, N, 0, N, 0, N, N), REGAUTH_NULL);
  IS(regauth_identity_from_pem(N, 0, N, 1, N, 0, &identity, N), REGAUTH_NULL);
  IS(regauth_identity_from_pem(N, 0, N, 0, N, 0, &identity, N), REGAUTH_FAILED);
  IS(regauth_identity_from_pem(REGAUTH_STR("x"), REGAUTH_STR(client->cert_pem), REGAUTH_STR(other->key_pem), &identity,
                               &error),
     REGAUTH_FAILED);
  OK(regauth_error_get(error, &why));
  CHECK(why.kind == REGAUTH_ERROR_IDENTITY && t_has(why.what, "x:"));
  regauth_error_free(error);
  IS(regauth_identity_with_signer(N, 0, N, 0, N, 0, N, &s, dropped, N, N), REGAUTH_NULL);
  IS(regauth_identity_with_signer(N, 0, N, 0, schemes, 1, N, &s, dropped, &identity, N), REGAUTH_NULL);
  IS(regauth_identity_with_signer(N, 0, N, 0, N, 0, sign, &s, dropped, &identity, N), REGAUTH_INPUT);
  IS(regauth_identity_with_signer(N, 0, N, 0, schemes, 1, sign, &s, dropped, &identity, N), REGAUTH_FAILED);
  IS(regauth_identity_from_chain(N, 0, N, 0, schemes, 1, N, N), REGAUTH_NULL);
  IS(regauth_identity_from_chain(N, 0, N, 0, N, 0, &identity, N), REGAUTH_INPUT);
  IS(regauth_identity_from_chain(N, 0, N, 0, schemes, 1, &identity, N), REGAUTH_FAILED);
  CHECK(s.dropped == 4 && identity == N);
  IS(regauth_profile_new(&(regauth_settings){.struct_size = sizeof(regauth_settings), .flags = 8}, (regauth_profile *[]){N}),
     REGAUTH_INPUT);
  IS(regauth_profile_new(&(regauth_settings){.struct_size = sizeof(regauth_settings), .min_version = 3},
                         (regauth_profile *[]){N}),
     REGAUTH_INPUT);

  regauth_profile *profile = profile_of(ca, N, 0);
  IS(regauth_tls_connect(N, 0, N, 0, 0, N, N), REGAUTH_NULL);
  IS(regauth_tls_connect(profile, 0, N, 0, 0, N, N), REGAUTH_NULL);
  IS(regauth_tls_connect(profile, 0, REGAUTH_STR("reg.example"), NOW, &tls, N), REGAUTH_FAILED);
  IS(regauth_tls_connect(profile, 0, REGAUTH_STR("https://reg.example"), 0, &tls, &error), REGAUTH_FAILED);
  OK(regauth_error_get(error, &why));
  CHECK(why.kind == REGAUTH_ERROR_TLS && why.fault == REGAUTH_FAULT_LOCAL && tls == N);
  regauth_error_free(error);
  IS(regauth_tls_poll(N, 0, &step), REGAUTH_NULL);
  IS(regauth_tls_space(N, &space), REGAUTH_NULL);
  IS(regauth_tls_filled(N, 0), REGAUTH_NULL);
  IS(regauth_tls_wrote(N, 0), REGAUTH_NULL);
  IS(regauth_tls_write_failed(N), REGAUTH_NULL);
  IS(regauth_tls_took(N, 0), REGAUTH_NULL);
  IS(regauth_tls_send(N, N, 0, N), REGAUTH_NULL);
  IS(regauth_tls_close(N), REGAUTH_NULL);
  IS(regauth_tls_release(N), REGAUTH_NULL);
  IS(regauth_tls_alpn(N, N), REGAUTH_NULL);
  IS(regauth_tls_evidence(N, N), REGAUTH_NULL);
  IS(regauth_tls_error(N, N), REGAUTH_NULL);
  regauth_tls_free(N);
  for (int call = 0; call < 5; call++) {
    tls = connect_to(profile);
    IS(regauth_tls_poll(tls, NOW, N), REGAUTH_NULL);
    IS(regauth_tls_space(tls, N), REGAUTH_NULL);
    IS(regauth_tls_send(tls, N, 1, N), REGAUTH_NULL);
    IS(regauth_tls_error(tls, &why), REGAUTH_NONE);
    switch (call) {
      case 0: OK(regauth_tls_filled(tls, SIZE_MAX)); break;
      case 1: OK(regauth_tls_wrote(tls, SIZE_MAX)); break;
      case 2: OK(regauth_tls_took(tls, 1)); break;
      case 3: OK(regauth_tls_filled(tls, 0)); break;
      default:
        OK(regauth_tls_space(tls, &space));
        memcpy(space.ptr, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
        OK(regauth_tls_filled(tls, 28));
    }
    do {
      OK(regauth_tls_poll(tls, NOW, &step));
      if (step.kind == REGAUTH_TLS_WRITE) OK(regauth_tls_wrote(tls, step.bytes.len));
    } while (step.kind == REGAUTH_TLS_WRITE);
    CHECK(step.kind == REGAUTH_TLS_FAILED);
    OK(regauth_tls_error(tls, &why));
    regauth_tls_free(tls);
  }
  regauth_profile_free(profile);
}

int main(void) {
  pair ca = peer_pair("ca", N), server = peer_pair("server", &ca), client = peer_pair("builder", &ca);
  pair other = peer_pair("other", N);
  good(&ca, &server, &client, REGAUTH_TLS_1_3, TLS1_3_VERSION);
  good(&ca, &server, &client, REGAUTH_TLS_1_2, TLS1_2_VERSION);
  signs(&ca, &server, &client, REGAUTH_TLS_1_3, TLS1_3_VERSION);
  signs(&ca, &server, &client, REGAUTH_TLS_1_2, TLS1_2_VERSION);
  rejected(&ca, &server, &other);
  misuse(&ca, &client, &other);
  peer_free(&ca);
  peer_free(&server);
  peer_free(&client);
  peer_free(&other);
  return t_end("tls");
}

/* OpenSSL as certificate authority and as TLS server, in memory. */
#ifndef PEER_H
#define PEER_H

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "t.h"

typedef struct {
  EVP_PKEY *key;
  X509 *cert;
  char *cert_pem, *key_pem;
} pair;

static inline char *peer_text(BIO *bio) {
  char *data, *text;
  long len = BIO_get_mem_data(bio, &data);
  text = malloc((size_t)len + 1);
  memcpy(text, data, (size_t)len);
  text[len] = 0;
  BIO_free(bio);
  return text;
}

static inline void peer_extend(X509 *cert, X509 *issuer, int nid, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  X509_add_ext(cert, extension, -1);
  X509_EXTENSION_free(extension);
}

/* A certificate for `name`, issued by `by`, or by itself as an authority. */
static inline pair peer_pair(const char *name, const pair *by) {
  static long serial = 1;
  pair made = {0};
  made.key = EVP_EC_gen("P-256");
  made.cert = X509_new();
  X509_set_version(made.cert, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.cert), serial++);
  X509_gmtime_adj(X509_getm_notBefore(made.cert), -3600);
  X509_gmtime_adj(X509_getm_notAfter(made.cert), 3600);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made.cert), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
                             0);
  X509_set_issuer_name(made.cert, X509_get_subject_name(by ? by->cert : made.cert));
  X509_set_pubkey(made.cert, made.key);
  if (by) {
    peer_extend(made.cert, by->cert, NID_subject_alt_name, "DNS:reg.example");
    peer_extend(made.cert, by->cert, NID_ext_key_usage, "serverAuth,clientAuth");
  } else {
    peer_extend(made.cert, made.cert, NID_basic_constraints, "critical,CA:TRUE");
  }
  X509_sign(made.cert, by ? by->key : made.key, EVP_sha256());
  BIO *bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, made.cert);
  made.cert_pem = peer_text(bio);
  bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, made.key, NULL, NULL, 0, NULL, NULL);
  made.key_pem = peer_text(bio);
  return made;
}

static inline void peer_free(pair *p) {
  EVP_PKEY_free(p->key);
  X509_free(p->cert);
  free(p->cert_pem);
  free(p->key_pem);
}

/* A server that requires a certificate of `ca`; `version` is the only one it speaks, 0 for all. */
static inline SSL_CTX *peer_server(const pair *server, const pair *ca, int version) {
  static const unsigned char id[] = "peer";
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  SSL_CTX_use_certificate(context, server->cert);
  SSL_CTX_use_PrivateKey(context, server->key);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  SSL_CTX_set_session_id_context(context, id, sizeof id);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca->cert);
  SSL_CTX_add_client_CA(context, ca->cert);
  if (version) {
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
  }
  return context;
}

static inline SSL *peer_accept(SSL_CTX *context) {
  SSL *ssl = SSL_new(context);
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_accept_state(ssl);
  return ssl;
}

#endif

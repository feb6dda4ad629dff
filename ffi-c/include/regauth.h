/*
 * regauth: registry authentication without I/O.
 *
 * One identity for every hop between a builder and an OCI registry: registry call, token call, redirect and upload.
 * The library never opens a socket, reads a file, a clock or the environment, and starts no thread.
 *
 *   layer a  regauth_agent, regauth_flow: HTTP messages, for hosts with an HTTP client of their own
 *   layer b  regauth_tls: TLS, bytes in and bytes out
 *   layer c  regauth_exchange: a flow over sockets that the host gives
 *   servers  regauth_guard, regauth_issuer: a registry's side of it; regauth_ca: short-lived certificates
 *
 * These rules hold for every function:
 *
 * 1. Input is a pointer and a length, and needs no zero byte. It is read during the call and copied where it is kept.
 *    A NULL pointer with the length 0 is empty. Text is UTF-8. REGAUTH_STR("..") gives both for a C string.
 * 2. A function that can fail gives a regauth_status. A pointer that is NULL and must not be gives REGAUTH_NULL, and
 *    nothing happened. What goes out by pointer is written on REGAUTH_OK only; the length that belongs to a buffer on
 *    REGAUTH_SPACE too.
 * 3. A struct begins with struct_size, set by the caller to its sizeof; other fields of one that is given start as 0.
 *    So fields can be added: what an older library does not know has to be 0, and what an older program does not know
 *    is not written.
 * 4. Bytes in a struct that came out (regauth_bytes) are lent by the object: they live until the next call on it that
 *    takes it without const, or until it is freed. They do not end with a zero byte.
 * 5. Threads. Shared objects (their types say so) may be used by any number of threads at
 *    once. All others may go from thread to thread and take one call at a time; a second one at the same moment, or
 *    from inside of a callback, is REGAUTH_MISUSE.
 * 6. Callbacks (wake, sign, drop) may come from any thread and must not call the library. They must return: no longjmp,
 *    no C++ exception.
 * 7. Errors. REGAUTH_FAILED: the object keeps an error, given by its error function; functions without an object give
 *    one out, to be freed with regauth_error_free. No text holds a secret. There is no last error of a thread.
 * 8. A defect of the library is REGAUTH_PANIC; the object is then of no more use than to be freed.
 * 9. A *_free function takes NULL. What was counted by a *_retain function is freed as often.
 */


#ifndef REGAUTH_H
#define REGAUTH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The length of a C string, 0 for NULL. */
static inline size_t regauth_length(const char *text) {
  return text ? strlen(text) : 0;
}

/* A C string and its length, as two arguments. */
#define REGAUTH_STR(text) (text), regauth_length(text)

/**
 * The number of this ABI, also in the soname. Additions keep it, changes raise it.
 */
#define REGAUTH_ABI 1

/**
 * The registry API, as the caller asked.
 */
#define REGAUTH_HOP_REGISTRY 1

/**
 * The token endpoint that the registry's challenge names.
 */
#define REGAUTH_HOP_TOKEN 2

/**
 * A redirect of a registry request.
 */
#define REGAUTH_HOP_REDIRECT 3

/**
 * The location of an upload session.
 */
#define REGAUTH_HOP_UPLOAD 4

/**
 * A layer URL that a manifest names.
 */
#define REGAUTH_HOP_LAYER 5

/**
 * A redirect of a token request.
 */
#define REGAUTH_HOP_TOKEN_REDIRECT 6

/**
 * The caller or its configuration.
 */
#define REGAUTH_FAULT_LOCAL 1

/**
 * The registry's answer.
 */
#define REGAUTH_FAULT_REGISTRY 2

/**
 * The token service's answer.
 */
#define REGAUTH_FAULT_TOKEN_SERVICE 3

/**
 * The connection: no answer came.
 */
#define REGAUTH_FAULT_NETWORK 4

/**
 * The hop policy refused before anything was sent.
 */
#define REGAUTH_FAULT_POLICY 5

/**
 * No connection: refused, no route, no name.
 */
#define REGAUTH_FAILURE_CONNECT 1

/**
 * No answer within the host's limit.
 */
#define REGAUTH_FAILURE_TIMEOUT 2

/**
 * Reset, or closed before the answer was whole.
 */
#define REGAUTH_FAILURE_RESET 3

/**
 * The server's certificate was not accepted here.
 */
#define REGAUTH_FAILURE_SERVER_CERTIFICATE 4

/**
 * The server requires a client certificate and got none.
 */
#define REGAUTH_FAILURE_CERTIFICATE_REQUIRED 5

/**
 * The server refused the client certificate that was shown, or the handshake.
 */
#define REGAUTH_FAILURE_CERTIFICATE_REJECTED 6

/**
 * Any other TLS error.
 */
#define REGAUTH_FAILURE_TLS 7

/**
 * Every address of the host was refused by the dial function.
 */
#define REGAUTH_FAILURE_ADDRESS_REFUSED 8

/**
 * Another flow fetches this token, or these credentials.
 */
#define REGAUTH_WAIT_TOKEN 1

/**
 * A fresh token was refused: the clocks may differ.
 */
#define REGAUTH_WAIT_SKEW 2

/**
 * The token service named a time.
 */
#define REGAUTH_WAIT_RETRY_AFTER 3

/**
 * The token service could not be reached twice.
 */
#define REGAUTH_WAIT_BACK_OFF 4

/**
 * The registry's credentials may go to this token endpoint.
 */
#define REGAUTH_PAIR_TOKEN 1

/**
 * The registry may redirect to this storage.
 */
#define REGAUTH_PAIR_STORAGE 2

/**
 * An error that is none of these.
 */
#define REGAUTH_ERROR_OTHER 0

/**
 * Local: a call that does not fit the step that was asked for.
 */
#define REGAUTH_ERROR_MISUSE 1

/**
 * Local: a URL.
 */
#define REGAUTH_ERROR_URL 2

/**
 * Local: a method that is no HTTP token.
 */
#define REGAUTH_ERROR_METHOD 3

/**
 * Local: a header field that cannot be sent, or that is not for the configuration to set.
 */
#define REGAUTH_ERROR_HEADER 4

/**
 * Local: a user name with a colon.
 */
#define REGAUTH_ERROR_USER_COLON 5

/**
 * Local: a user without a password, facing Basic.
 */
#define REGAUTH_ERROR_NO_PASSWORD 6

/**
 * Local: credentials of a kind that this registry has no use for.
 */
#define REGAUTH_ERROR_WRONG_KIND 7

/**
 * Local: the credential helper failed.
 */
#define REGAUTH_ERROR_HELPER 8

/**
 * Local: a key, a certificate or a root that cannot be used.
 */
#define REGAUTH_ERROR_IDENTITY 9

/**
 * Registry: a Bearer challenge without a usable realm.
 */
#define REGAUTH_ERROR_REALM 10

/**
 * Registry: the credentials or the token that were sent are refused.
 */
#define REGAUTH_ERROR_REFUSED 11

/**
 * Registry: five tokens, and none was accepted.
 */
#define REGAUTH_ERROR_TOO_MANY_TOKENS 12

/**
 * Registry: an answer that is not HTTP, or breaks a limit.
 */
#define REGAUTH_ERROR_PROTOCOL 13

/**
 * Token service: a refusal.
 */
#define REGAUTH_ERROR_TOKEN_REFUSED 14

/**
 * Token service: come back later.
 */
#define REGAUTH_ERROR_TOKEN_LATER 15

/**
 * Token service: a 200 that holds no token.
 */
#define REGAUTH_ERROR_TOKEN_MALFORMED 16

/**
 * Token service: a redirect without a Location.
 */
#define REGAUTH_ERROR_TOKEN_NOWHERE 17

/**
 * Network: no answer came.
 */
#define REGAUTH_ERROR_NETWORK 18

/**
 * Policy: always refused.
 */
#define REGAUTH_ERROR_DENIED 19

/**
 * Policy: refused until the configuration allows it.
 */
#define REGAUTH_ERROR_ASK 20

/**
 * Policy: an address, or every address that was tried.
 */
#define REGAUTH_ERROR_ADDRESS 21

/**
 * Local: a reference, a text that is no image name.
 */
#define REGAUTH_ERROR_REFERENCE 22

/**
 * Network or local: a TLS connection of layer b.
 */
#define REGAUTH_ERROR_TLS 23

/**
 * Local: a header field of the application that is not its to set, or cannot be sent.
 */
#define REGAUTH_ERROR_FIELD 24

/**
 * Local: the request has to be sent again and its body cannot be read twice.
 */
#define REGAUTH_ERROR_BODY_GONE 25

/**
 * Local: credentials are configured for this registry and cannot be read.
 */
#define REGAUTH_ERROR_CREDENTIALS 26

/**
 * Local: a guard, an issuer or a certificate that cannot be made so.
 */
#define REGAUTH_ERROR_SETUP 27

/**
 * The server did not ask for a client certificate.
 */
#define REGAUTH_SHOWN_NOT_ASKED 0

/**
 * It asked, and none is configured.
 */
#define REGAUTH_SHOWN_NO_PAIR 1

/**
 * It asked, and none fits; `lines` has one line for each, with the reason.
 */
#define REGAUTH_SHOWN_NONE_FITS 2

/**
 * It asked and was shown one; `lines` are its label and the issuer of its leaf.
 */
#define REGAUTH_SHOWN_PAIR 3

/**
 * TLS 1.2.
 */
#define REGAUTH_TLS_1_2 1

/**
 * TLS 1.3.
 */
#define REGAUTH_TLS_1_3 2

/**
 * The session was resumed, so that the server saw the certificate of its first handshake.
 */
#define REGAUTH_EVIDENCE_RESUMED 1

/**
 * The handshake came to its end on this side.
 */
#define REGAUTH_EVIDENCE_FINISHED 2

/**
 * Application data came from the server: only then the identity was accepted.
 */
#define REGAUTH_EVIDENCE_ACCEPTED 4

/**
 * The server asked for a certificate after the handshake.
 */
#define REGAUTH_EVIDENCE_LATE 8

/**
 * The certificate has expired.
 */
#define REGAUTH_FLAW_EXPIRED 1

/**
 * The certificate is not valid yet.
 */
#define REGAUTH_FLAW_NOT_YET_VALID 2

/**
 * The certificate's extended key usage does not allow clients.
 */
#define REGAUTH_FLAW_NOT_FOR_CLIENTS 3

/**
 * Show the first identity whatever the server's hints say.
 */
#define REGAUTH_HOST_FORCE 1

/**
 * After a TLS rejection try the next identity, where the request can be repeated.
 */
#define REGAUTH_HOST_TRY_PAIRS 2

/**
 * Do not check the server's certificate. No password leaves with it, unless REGAUTH_HOST_PASSWORD_UNVERIFIED is set.
 */
#define REGAUTH_HOST_SKIP_VERIFY 4

/**
 * Leave for a password over plain http; loopback needs none.
 */
#define REGAUTH_HOST_PASSWORD_OVER_HTTP 8

/**
 * Leave for a password to a server whose certificate is not checked.
 */
#define REGAUTH_HOST_PASSWORD_UNVERIFIED 16

/**
 * Leave to be at an address that is more local than the registry's.
 */
#define REGAUTH_HOST_LOCAL 32

/**
 * Of the default host only: leave for its identity to be shown to every registry.
 */
#define REGAUTH_HOST_WILDCARD_IDENTITY 64

/**
 * The same after an answer that may be a refusal of the certificate: 403, 404, 5xx. The answer to the last one stands.
 */
#define REGAUTH_HOST_TRY_PAIRS_ON_STATUS 128

/**
 * The roots of the configuration; for a configuration and a profile: the compiled-in ones.
 */
#define REGAUTH_ROOTS_INHERIT 0

/**
 * The compiled-in roots, and those given.
 */
#define REGAUTH_ROOTS_WEBPKI 1

/**
 * Only those given.
 */
#define REGAUTH_ROOTS_PEM 2

/**
 * Lend the registry's identity to the other origin, where that has none of its own.
 */
#define REGAUTH_PAIR_IDENTITY 1

/**
 * Leave to be at an address that is more local than the registry's.
 */
#define REGAUTH_PAIR_LOCAL 2

/**
 * The host looks up the credentials of every registry that has none in the configuration.
 */
#define REGAUTH_OPTION_ASK_FOR_ALL 1

/**
 * Credentials go to any https realm, never an identity.
 */
#define REGAUTH_OPTION_ANY_HTTPS 2

/**
 * Passwords go to token endpoints by POST first (OAuth 2), instead of GET with Basic.
 */
#define REGAUTH_OPTION_PASSWORD_POST 3

/**
 * Ask token endpoints for a refresh token, which is then used in the place of the password.
 */
#define REGAUTH_OPTION_OFFLINE_TOKEN 4

/**
 * No credentials.
 */
#define REGAUTH_CREDENTIALS_NONE 0

/**
 * User and password.
 */
#define REGAUTH_CREDENTIALS_BASIC 1

/**
 * A refresh token (Docker's identitytoken).
 */
#define REGAUTH_CREDENTIALS_REFRESH 2

/**
 * A bearer token that is sent as it is (Docker's registrytoken).
 */
#define REGAUTH_CREDENTIALS_BEARER 3

/**
 * Send exactly this; then regauth_flow_answer or regauth_flow_failed.
 */
#define REGAUTH_STEP_SEND 1

/**
 * Look these up, or run the helper; then regauth_flow_credentials or regauth_flow_helper_failed.
 */
#define REGAUTH_STEP_CREDENTIALS 2

/**
 * Poll again when woken, or at `until`.
 */
#define REGAUTH_STEP_WAIT 3

/**
 * The last answer is the application's answer.
 */
#define REGAUTH_STEP_DONE 4

/**
 * The flow has failed and stays so: regauth_flow_error.
 */
#define REGAUTH_STEP_FAILED 5

/**
 * The request has no body.
 */
#define REGAUTH_BODY_NONE 0

/**
 * The application's body, if it has one; from its start.
 */
#define REGAUTH_BODY_APP 1

/**
 * The application's body once more: one that cannot be read twice ends the flow here.
 */
#define REGAUTH_BODY_APP_AGAIN 2

/**
 * `form`, application/x-www-form-urlencoded. Secret.
 */
#define REGAUTH_BODY_FORM 3

/**
 * The flow follows redirects.
 */
#define REGAUTH_REDIRECTS_CORE 0

/**
 * The host's client does: a redirect is the application's answer, and each further hop a flow of its own, made by
 * regauth_agent_referred.
 */
#define REGAUTH_REDIRECTS_HOST 1

/**
 * The server requires a client certificate and was shown none.
 */
#define REGAUTH_CERTIFICATE_REQUIRED 1

/**
 * The server refused the certificate that it was shown.
 */
#define REGAUTH_CERTIFICATE_REJECTED 2

/**
 * The connection broke right after a TLS 1.3 handshake in which the server asked for a certificate.
 */
#define REGAUTH_CERTIFICATE_PROBABLY_REJECTED 3

/**
 * The handshake went well, and the server's answer is about the certificate.
 */
#define REGAUTH_CERTIFICATE_REJECTED_OVER_HTTP 4

/**
 * The server asks for a certificate after the handshake, which cannot be done.
 */
#define REGAUTH_CERTIFICATE_ASKED_LATE 5

/**
 * An identity is configured and the server did not ask for any.
 */
#define REGAUTH_CERTIFICATE_NOT_ASKED 6

/**
 * Manifests by digest, and blobs.
 */
#define REGAUTH_CAPABILITY_PULL 1

/**
 * Which digest a tag stands for.
 */
#define REGAUTH_CAPABILITY_RESOLVE 2

/**
 * Uploads.
 */
#define REGAUTH_CAPABILITY_PUSH 4

/**
 * The manifests that refer to one.
 */
#define REGAUTH_CAPABILITY_REFERRERS 8

/**
 * Docker's certs.d: one directory.
 */
#define REGAUTH_FORMAT_DOCKER_CERTS 1

/**
 * The certs.d directories of podman, buildah, skopeo and CRI-O, in their search order.
 */
#define REGAUTH_FORMAT_CONTAINERS_CERTS 2

/**
 * containerd's host directories in the order of config_path: hosts.toml.
 */
#define REGAUTH_FORMAT_HOSTS 3

/**
 * BuildKit's buildkitd.toml.
 */
#define REGAUTH_FORMAT_BUILDKITD 4

/**
 * k3s's and RKE2's registries.yaml.
 */
#define REGAUTH_FORMAT_REGISTRIES 5

/**
 * regauth.toml: pairs and everything that the other formats cannot say.
 */
#define REGAUTH_FORMAT_REGAUTH 6

/**
 * Docker's config.json.
 */
#define REGAUTH_FORMAT_DOCKER_CONFIG 7

/**
 * The value of DOCKER_AUTH_CONFIG, under the variable's name; before config.json.
 */
#define REGAUTH_FORMAT_DOCKER_AUTH_CONFIG 8

/**
 * podman's auth.json.
 */
#define REGAUTH_FORMAT_AUTH_JSON 9

/**
 * A Kubernetes image pull secret.
 */
#define REGAUTH_FORMAT_KUBERNETES 10

/**
 * Worth knowing.
 */
#define REGAUTH_SEVERITY_INFO 1

/**
 * Other readers of this file do something else, or something is not used.
 */
#define REGAUTH_SEVERITY_WARNING 2

/**
 * Something that is configured cannot be used.
 */
#define REGAUTH_SEVERITY_ERROR 3

/**
 * Write some of these bytes to the socket; then regauth_tls_wrote or regauth_tls_write_failed.
 */
#define REGAUTH_TLS_WRITE 1

/**
 * Take some of these decrypted bytes; then regauth_tls_took.
 */
#define REGAUTH_TLS_PLAIN 2

/**
 * Read from the socket into regauth_tls_space, then regauth_tls_filled; or send something.
 */
#define REGAUTH_TLS_READ 3

/**
 * The server closed the connection in the proper way, or regauth_tls_close is done.
 */
#define REGAUTH_TLS_CLOSED 4

/**
 * The connection failed, and what there was to write about it has been written: regauth_tls_error.
 */
#define REGAUTH_TLS_FAILED 5

/**
 * Connect, or take a link out of the pool; then regauth_exchange_connected or regauth_exchange_failed.
 */
#define REGAUTH_DO_CONNECT 1

/**
 * Write some of these bytes; then regauth_exchange_wrote or regauth_exchange_failed.
 */
#define REGAUTH_DO_WRITE 2

/**
 * Read into regauth_exchange_space; then regauth_exchange_filled or regauth_exchange_failed. A host that can read while
 * it writes does the same whenever bytes come.
 */
#define REGAUTH_DO_READ 3

/**
 * The application's body: the next bytes of it; then regauth_exchange_body.
 */
#define REGAUTH_DO_WANT_BODY 4

/**
 * The head of the application's answer; then regauth_exchange_took_head.
 */
#define REGAUTH_DO_HEAD 5

/**
 * Content of the application's answer; then regauth_exchange_took.
 */
#define REGAUTH_DO_BODY 6

/**
 * Look these up, or run the helper; then regauth_exchange_credentials or regauth_exchange_helper_failed.
 */
#define REGAUTH_DO_CREDENTIALS 7

/**
 * Poll again when woken, or at `until`. There is nothing to read or to write.
 */
#define REGAUTH_DO_WAIT 8

/**
 * The exchange has no use for this socket any more: regauth_exchange_take_link gives what is to be pooled with it; if
 * that is nothing, close it. Then regauth_exchange_closed.
 */
#define REGAUTH_DO_CLOSE 9

/**
 * The answer is whole. regauth_exchange_take_link gives what is to be pooled with the socket; if that is nothing, close
 * it.
 */
#define REGAUTH_DO_DONE 10

/**
 * The exchange has failed and stays so: regauth_exchange_error. Close the socket.
 */
#define REGAUTH_DO_FAILED 11

/**
 * The length of a body that is not known in advance, for regauth_exchange_body_len.
 */
#define REGAUTH_CHUNKED UINT64_MAX

/**
 * The TLS stack of this host has verified the certificate, on this connection.
 */
#define REGAUTH_SOURCE_TLS 1

/**
 * A proxy has, and says so in a header field; it counts only where `trust_proxy` is set.
 */
#define REGAUTH_SOURCE_PROXY 2

/**
 * The request is none for the registry: there is nothing to say, and no challenge to send.
 */
#define REGAUTH_VERDICT_NOT_REGISTRY 1

/**
 * Pass the request on to the registry.
 */
#define REGAUTH_VERDICT_ALLOW 2

/**
 * Send this answer.
 */
#define REGAUTH_VERDICT_SEND 3

/**
 * `x5c`: the key's certificates, its own first (RFC 7515 section 4.1.6).
 */
#define REGAUTH_KEY_X5C 1

/**
 * `kid` is the RFC 7638 thumbprint.
 */
#define REGAUTH_KEY_THUMBPRINT 2

/**
 * `kid` is the libtrust id.
 */
#define REGAUTH_KEY_LIBTRUST 3

/**
 * `kid` is a text of the host's.
 */
#define REGAUTH_KEY_KID 4

/**
 * Tokens are bound to no certificate.
 */
#define REGAUTH_BIND_OFF 0

/**
 * Tokens are bound where the client has shown a certificate (RFC 8705 section 3).
 */
#define REGAUTH_BIND_IF_PEER 1

/**
 * Without a certificate there is no token.
 */
#define REGAUTH_BIND_REQUIRED 2

/**
 * The client proves itself with nothing but perhaps its certificate.
 */
#define REGAUTH_CREDENTIAL_NONE 0

/**
 * `Authorization: Basic` (RFC 7617).
 */
#define REGAUTH_CREDENTIAL_BASIC 1

/**
 * The form's username and password (RFC 6749 section 4.3.2).
 */
#define REGAUTH_CREDENTIAL_PASSWORD 2

/**
 * The form's refresh_token (RFC 6749 section 6).
 */
#define REGAUTH_CREDENTIAL_REFRESH 3

/**
 * Unknown user, wrong secret, no certificate: 401, the same answer for all of them.
 */
#define REGAUTH_REFUSE_CREDENTIALS 1

/**
 * Known, and not welcome: 403.
 */
#define REGAUTH_REFUSE_DENIED 2

/**
 * Too many requests of this client: 429.
 */
#define REGAUTH_REFUSE_TOO_MANY 3

/**
 * The host cannot tell now: 503.
 */
#define REGAUTH_REFUSE_UNAVAILABLE 4

/**
 * Configuration, tokens and remembered challenges of one program. Shared: counted, for any number of threads at once.
 */
typedef struct regauth_agent regauth_agent;

/**
 * A token request that was read. Exclusive: one thread at a time.
 */
typedef struct regauth_ask regauth_ask;

/**
 * All files of one buildkitd and its clients. Exclusive: one thread at a time.
 */
typedef struct regauth_bundle regauth_bundle;

/**
 * A certificate authority in memory. Shared: never changed, for any number of threads at once.
 */
typedef struct regauth_ca regauth_ca;

/**
 * The challenges of one answer, read. Exclusive: one thread at a time.
 */
typedef struct regauth_challenges regauth_challenges;

/**
 * What an agent is told: hosts, pairs, credentials, options. Exclusive: one thread at a time.
 */
typedef struct regauth_config regauth_config;

/**
 * A directory of configuration files: names and contents. Exclusive: one thread at a time.
 */
typedef struct regauth_directory regauth_directory;

/**
 * Where to ask for an image, in order: mirrors, then the registry. Exclusive: one thread at a time.
 */
typedef struct regauth_endpoints regauth_endpoints;

/**
 * An error that a call without an object of its own gave out.
 */
typedef struct regauth_error regauth_error;

/**
 * One request of the application with all that belongs to it: token requests, redirects, connections. There is one socket
 * at a time, and it is the host's. Exclusive: one call at a time, from any thread.
 */
typedef struct regauth_exchange regauth_exchange;

/**
 * One request of the application. Exclusive: one call at a time, from any thread.
 */
typedef struct regauth_flow regauth_flow;

/**
 * Decides about every request to a registry. Shared: never changed, for any number of threads at once.
 */
typedef struct regauth_guard regauth_guard;

/**
 * A client certificate and its key, or the name of one that the host's own TLS stack holds. Shared: counted, never
 * changed, for any number of threads at once.
 */
typedef struct regauth_identity regauth_identity;

/**
 * Reads configuration files of several formats into one configuration. Each import is one source; what an earlier one says
 * holds before a later one's. Exclusive: one thread at a time.
 */
typedef struct regauth_importer regauth_importer;

/**
 * A certificate and perhaps its key. Exclusive: one thread at a time.
 */
typedef struct regauth_issued regauth_issued;

/**
 * Issues tokens. Shared: never changed, for any number of threads at once.
 */
typedef struct regauth_issuer regauth_issuer;

/**
 * The state of an idle connection, to be pooled together with its socket. Exclusive: one thread at a time.
 */
typedef struct regauth_link regauth_link;

/**
 * A client certificate that the host's TLS stack has verified. Shared: counted, never changed, for any number of threads
 * at once.
 */
typedef struct regauth_peer regauth_peer;

/**
 * Who may do what. Shared: never changed, for any number of threads at once.
 */
typedef struct regauth_policy regauth_policy;

/**
 * What a TLS connection is made with: roots, identities, options. Shared: counted, never changed, for any number of
 * threads at once.
 */
typedef struct regauth_profile regauth_profile;

/**
 * An image name. Shared: never changed, for any number of threads at once.
 */
typedef struct regauth_reference regauth_reference;

/**
 * Where a URL came from: the registry, and where the request for it has been. Shared: counted, never changed, for any
 * number of threads at once.
 */
typedef struct regauth_referrer regauth_referrer;

/**
 * What to do with a request, or the answer of a token endpoint. Exclusive: one thread at a time.
 */
typedef struct regauth_reply regauth_reply;

/**
 * A P-256 key that signs tokens, or the public half of one that is held elsewhere. Shared: never changed, for any number of threads at once.
 */
typedef struct regauth_signing_key regauth_signing_key;

/**
 * Whom the host has authenticated: what it says, nothing of the request. Exclusive: one thread at a time.
 */
typedef struct regauth_subject regauth_subject;

/**
 * A pattern that makes a subject of a SPIFFE id. Shared: never changed, for any number of threads at once.
 */
typedef struct regauth_template regauth_template;

/**
 * One TLS connection to one origin with one profile. Exclusive: one call at a time, from any thread.
 */
typedef struct regauth_tls regauth_tls;

/**
 * A token that lacks its signature. Exclusive: one thread at a time.
 */
typedef struct regauth_unsigned regauth_unsigned;

/**
 * How a call ended: one of REGAUTH_OK to REGAUTH_NONE.
 */
typedef int32_t regauth_status;

/**
 * Bytes, without a zero byte behind them. Given by C: borrowed for the call. Given to C: lent, until the next call on
 * the lender that takes it without const.
 */
typedef struct {
  /**
   * Where they begin; may be NULL where there are none.
   */
  const char *ptr;
  /**
   * How many there are.
   */
  size_t len;
} regauth_bytes;

/**
 * What there is to say about an error. All bytes are text, without secrets, and lent by the object that was asked.
 */
typedef struct {
  /**
   * sizeof(regauth_error_info), set by the caller.
   */
  size_t struct_size;
  /**
   * REGAUTH_FAULT_*: who has to act.
   */
  uint32_t fault;
  /**
   * REGAUTH_HOP_*: where it failed; 0 where that was no hop.
   */
  uint32_t hop;
  /**
   * REGAUTH_ERROR_*: what happened.
   */
  uint32_t kind;
  /**
   * REGAUTH_FAILURE_* for REGAUTH_ERROR_NETWORK and REGAUTH_ERROR_TLS.
   */
  uint32_t failure;
  /**
   * The status of the answer, where one was the cause.
   */
  uint32_t http_status;
  /**
   * REGAUTH_CERTIFICATE_*: what became of client authentication, where the error has to do with it.
   */
  uint32_t certificates;
  /**
   * REGAUTH_ERROR_TOKEN_LATER: when to try again, in Unix milliseconds; 0 where nobody said.
   */
  uint64_t retry_at;
  /**
   * The origin of the hop.
   */
  regauth_bytes origin;
  /**
   * One sentence: what happened.
   */
  regauth_bytes what;
  /**
   * One sentence: what to do about it.
   */
  regauth_bytes remedy;
  /**
   * REGAUTH_ERROR_ASK: the exact configuration line that would allow it.
   */
  regauth_bytes line;
} regauth_error_info;

/**
 * What is known of an identity. All bytes are lent by the identity, for as long as it is held.
 */
typedef struct {
  /**
   * sizeof(regauth_identity_info), set by the caller.
   */
  size_t struct_size;
  /**
   * The name that it was given.
   */
  regauth_bytes label;
  /**
   * SHA-256 of the leaf certificate.
   */
  uint8_t fingerprint[32];
  /**
   * The first moment at which the leaf is valid, in Unix milliseconds; 0 where that is not known.
   */
  uint64_t not_before;
  /**
   * The last one.
   */
  uint64_t not_after;
  /**
   * Whether the leaf's extended key usage allows client authentication; 1 where it has none or is not known.
   */
  uint32_t client_auth;
  /**
   * Always 0.
   */
  uint32_t reserved;
  /**
   * The certificates as they were given, PEM; none where only the name is known.
   */
  regauth_bytes chain_pem;
  /**
   * The key as it was given, PEM; none for a signer and where only the name is known. Secret.
   */
  regauth_bytes key_pem;
} regauth_identity_info;

/**
 * What a TLS connection showed about client certificates. Given by a host with a TLS stack of its own: zero where it
 * cannot tell. Given by layer b: all bytes are lent by the connection.
 */
typedef struct {
  /**
   * sizeof(regauth_evidence), set by the caller.
   */
  size_t struct_size;
  /**
   * REGAUTH_TLS_1_2 or REGAUTH_TLS_1_3; 0 before the server's hello was read.
   */
  uint32_t version;
  /**
   * REGAUTH_SHOWN_*.
   */
  uint32_t shown;
  /**
   * REGAUTH_EVIDENCE_*, added up.
   */
  uint32_t flags;
  /**
   * The fatal alert that the server sent (RFC 8446 section 6); 0: none.
   */
  uint32_t alert;
  /**
   * Which identity of the profile was shown, the first being 1; 0: none.
   */
  uint32_t pair;
  /**
   * Which one to try after a rejection, the first being 1; 0: none.
   */
  uint32_t next;
  /**
   * REGAUTH_FLAW_*: what speaks against the certificate that was shown; 0: nothing.
   */
  uint32_t flaw;
  /**
   * Always 0.
   */
  uint32_t reserved;
  /**
   * EXPIRED: so many seconds ago. NOT_YET_VALID: in so many seconds it is.
   */
  uint64_t flaw_seconds;
  /**
   * The issuers that the server named, as text.
   */
  const regauth_bytes *hints;
  /**
   * How many.
   */
  size_t hints_len;
  /**
   * As `shown` says.
   */
  const regauth_bytes *lines;
  /**
   * How many.
   */
  size_t lines_len;
  /**
   * How the connection failed, in the words of the TLS stack.
   */
  regauth_bytes problem;
  /**
   * What to do about that.
   */
  regauth_bytes remedy;
} regauth_evidence;

/**
 * A header field.
 */
typedef struct {
  /**
   * Its name, in any case.
   */
  regauth_bytes name;
  /**
   * Its value, without white space round it.
   */
  regauth_bytes value;
} regauth_header;

/**
 * The host configuration of an origin, given by C.
 */
typedef struct {
  /**
   * sizeof(regauth_host), set by the caller.
   */
  size_t struct_size;
  /**
   * REGAUTH_HOST_*, added up.
   */
  uint32_t flags;
  /**
   * REGAUTH_ROOTS_*.
   */
  uint32_t roots;
  /**
   * PEM texts of certificate authorities, each with one or more.
   */
  const regauth_bytes *roots_pem;
  /**
   * How many.
   */
  size_t roots_pem_len;
  /**
   * Client identities in the order in which they are tried.
   */
  const regauth_identity *const *identities;
  /**
   * How many.
   */
  size_t identities_len;
  /**
   * Header fields for every request to this origin as registry, mirror or paired host; never Authorization.
   */
  const regauth_header *headers;
  /**
   * How many.
   */
  size_t headers_len;
  /**
   * ALPN protocol names; none: the extension is not sent.
   */
  const regauth_bytes *alpn;
  /**
   * How many.
   */
  size_t alpn_len;
} regauth_host;

/**
 * The settings of a profile, given by C for layer b without an agent.
 */
typedef struct {
  /**
   * sizeof(regauth_settings), set by the caller.
   */
  size_t struct_size;
  /**
   * REGAUTH_HOST_FORCE, _TRY_PAIRS, _TRY_PAIRS_ON_STATUS and _SKIP_VERIFY, added up.
   */
  uint32_t flags;
  /**
   * REGAUTH_ROOTS_*.
   */
  uint32_t roots;
  /**
   * PEM texts of certificate authorities, each with one or more.
   */
  const regauth_bytes *roots_pem;
  /**
   * How many.
   */
  size_t roots_pem_len;
  /**
   * Client identities in the order in which they are tried.
   */
  const regauth_identity *const *identities;
  /**
   * How many.
   */
  size_t identities_len;
  /**
   * ALPN protocol names; none: the extension is not sent.
   */
  const regauth_bytes *alpn;
  /**
   * How many.
   */
  size_t alpn_len;
  /**
   * The oldest version: REGAUTH_TLS_*, or 0 for TLS 1.2.
   */
  uint32_t min_version;
  /**
   * The newest version: REGAUTH_TLS_*, or 0 for TLS 1.3.
   */
  uint32_t max_version;
} regauth_settings;

/**
 * What a profile holds, beside the lists that the functions by number give.
 */
typedef struct {
  /**
   * sizeof(regauth_profile_info), set by the caller.
   */
  size_t struct_size;
  /**
   * REGAUTH_HOST_FORCE, _TRY_PAIRS, _TRY_PAIRS_ON_STATUS and _SKIP_VERIFY, added up.
   */
  uint32_t flags;
  /**
   * REGAUTH_ROOTS_WEBPKI, which stands for what the host trusts by itself, or REGAUTH_ROOTS_PEM.
   */
  uint32_t roots;
  /**
   * How many PEM texts of roots there are: regauth_profile_root.
   */
  size_t roots_pem_len;
  /**
   * How many identities there are: regauth_profile_identity.
   */
  size_t identities_len;
  /**
   * How many ALPN names there are: regauth_profile_alpn.
   */
  size_t alpn_len;
  /**
   * The oldest version: REGAUTH_TLS_*, or 0 where it is not set.
   */
  uint32_t min_version;
  /**
   * The newest version: REGAUTH_TLS_*, or 0 where it is not set.
   */
  uint32_t max_version;
} regauth_profile_info;

/**
 * Which identity to show to a server that asked.
 */
typedef struct {
  /**
   * sizeof(regauth_choice), set by the caller.
   */
  size_t struct_size;
  /**
   * REGAUTH_SHOWN_*.
   */
  uint32_t shown;
  /**
   * The number of the identity to show, the first being 1; 0: none.
   */
  uint32_t pair;
  /**
   * The next one that would do, if the server rejects this one and REGAUTH_HOST_TRY_PAIRS is set; 0: none.
   */
  uint32_t next;
  /**
   * Always 0.
   */
  uint32_t reserved;
} regauth_choice;

/**
 * Called when a wait may be over, from whichever thread ended it and perhaps more than once. It must not call the
 * library and must not block: set a flag, write to a pipe, signal a condition variable.
 */
typedef void (*regauth_wake_fn)(void *arg);

/**
 * Called once when the library has no more use for the argument of a callback, from any thread, perhaps after the
 * object was freed. It must not call the library.
 */
typedef void (*regauth_drop_fn)(void *arg);

/**
 * What to do next. All bytes are lent by the flow, until the next call on it that takes it without const.
 */
typedef struct {
  /**
   * sizeof(regauth_step), set by the caller.
   */
  size_t struct_size;
  /**
   * REGAUTH_STEP_*. Fields of other steps are 0.
   */
  uint32_t kind;
  /**
   * SEND: REGAUTH_HOP_*.
   */
  uint32_t hop;
  /**
   * SEND: the TLS profile to connect with, and the pool to take a connection from. No other may be used.
   */
  uint32_t profile;
  /**
   * SEND: REGAUTH_BODY_*.
   */
  uint32_t body;
  /**
   * SEND: the method.
   */
  regauth_bytes method;
  /**
   * SEND: the URL.
   */
  regauth_bytes url;
  /**
   * SEND: scheme, host and port of the URL: "https://reg.example:5000".
   */
  regauth_bytes origin;
  /**
   * SEND: the host of the URL, as a resolver and TLS want it: IPv6 without brackets.
   */
  regauth_bytes host;
  /**
   * SEND: the port of the URL.
   */
  uint32_t port;
  /**
   * SEND: whether the scheme is https.
   */
  uint32_t https;
  /**
   * SEND: the labels of the identities in the profile; none where it has none.
   */
  regauth_bytes identity;
  /**
   * SEND: header fields to send beside the application's; values are secret. The application sets no Authorization
   * and no Cookie of its own.
   */
  const regauth_header *headers;
  /**
   * SEND: how many.
   */
  size_t headers_len;
  /**
   * SEND: the form, for REGAUTH_BODY_FORM.
   */
  regauth_bytes form;
  /**
   * SEND: how much of the body the flow wants, decoded: 0 for none, it is the application's if the flow is done with
   * this answer; otherwise all of it, or this much and one byte where it is longer.
   */
  size_t answer_at_most;
  /**
   * CREDENTIALS: the registry's origin.
   */
  regauth_bytes registry;
  /**
   * CREDENTIALS: the helper to run, docker-credential-NAME, where the configuration names one; else the look-up is
   * the host's own. No path: it comes from a configuration file.
   */
  regauth_bytes helper;
  /**
   * CREDENTIALS: what goes to the helper's standard input.
   */
  regauth_bytes helper_url;
  /**
   * WAIT: when to poll at the latest, in Unix milliseconds.
   */
  uint64_t until;
  /**
   * WAIT: REGAUTH_WAIT_*.
   */
  uint32_t why;
  /**
   * DONE: the status of the application's answer.
   */
  uint32_t status;
  /**
   * DONE: whether the registry denied a cross-repository mount: no failed push, upload the blob instead.
   */
  uint32_t mount_denied;
  /**
   * Always 0.
   */
  uint32_t reserved;
} regauth_step;

/**
 * A server's answer, given by C.
 */
typedef struct {
  /**
   * sizeof(regauth_answer), set by the caller.
   */
  size_t struct_size;
  /**
   * The status.
   */
  uint32_t status;
  /**
   * Always 0.
   */
  uint32_t reserved;
  /**
   * The header fields, in their order; one that was sent twice is there twice.
   */
  const regauth_header *headers;
  /**
   * How many.
   */
  size_t headers_len;
  /**
   * The body, where the step wanted it.
   */
  regauth_bytes body;
  /**
   * The effective URL, where the host's client has followed redirects by itself; none otherwise.
   */
  regauth_bytes url;
  /**
   * What the TLS connection showed; NULL where that is not known.
   */
  const regauth_evidence *tls;
} regauth_answer;

/**
 * An endpoint to try. All bytes are lent by the endpoints, for as long as they are held.
 */
typedef struct {
  /**
   * sizeof(regauth_endpoint), set by the caller.
   */
  size_t struct_size;
  /**
   * Scheme, host and port: the anchor of its requests.
   */
  regauth_bytes origin;
  /**
   * The path of the API: "/v2", unless the configuration overrides it.
   */
  regauth_bytes root;
  /**
   * The repository there.
   */
  regauth_bytes repository;
  /**
   * The registry that a mirror is asked to stand for, as query parameter ns; none where that is not asked.
   */
  regauth_bytes ns;
  /**
   * The file and key that it comes from; none where it comes from no file.
   */
  regauth_bytes provenance;
  /**
   * REGAUTH_CAPABILITY_*, added up.
   */
  uint32_t capabilities;
  /**
   * The TLS profile of requests to it.
   */
  uint32_t profile;
  /**
   * Whether it is a mirror.
   */
  uint32_t mirror;
  /**
   * Always 0.
   */
  uint32_t reserved;
} regauth_endpoint;

/**
 * One challenge. All bytes are lent by the challenges, until the next regauth_challenges_get.
 */
typedef struct {
  /**
   * sizeof(regauth_challenge), set by the caller.
   */
  size_t struct_size;
  /**
   * The scheme as it was written; its case has no meaning.
   */
  regauth_bytes scheme;
  /**
   * The token68; `ptr` is NULL where there is none.
   */
  regauth_bytes token68;
  /**
   * The parameters in their order: names as they were written, values without quotes.
   */
  const regauth_header *params;
  /**
   * How many.
   */
  size_t params_len;
} regauth_challenge;

/**
 * The parts of an image name. All bytes are lent by the reference, for as long as it is held.
 */
typedef struct {
  /**
   * sizeof(regauth_reference_info), set by the caller.
   */
  size_t struct_size;
  /**
   * The origin of the registry's API.
   */
  regauth_bytes origin;
  /**
   * The domain, such as "docker.io".
   */
  regauth_bytes domain;
  /**
   * The repository, such as "library/alpine".
   */
  regauth_bytes repository;
  /**
   * The tag; `ptr` is NULL where there is none.
   */
  regauth_bytes tag;
  /**
   * The digest; `ptr` is NULL where there is none.
   */
  regauth_bytes digest;
  /**
   * What to ask for: the digest, or else the tag.
   */
  regauth_bytes reference;
} regauth_reference_info;

/**
 * Something that is wrong with a configuration, or would surprise. All bytes are text without secrets, lent by the
 * importer.
 */
typedef struct {
  /**
   * sizeof(regauth_diagnostic), set by the caller.
   */
  size_t struct_size;
  /**
   * REGAUTH_SEVERITY_*.
   */
  uint32_t severity;
  /**
   * The line, from 1; 0 where the format gives none.
   */
  uint32_t line;
  /**
   * The file.
   */
  regauth_bytes file;
  /**
   * The key in it, dotted; empty for the file as a whole.
   */
  regauth_bytes key;
  /**
   * What kind: a stable name in words with hyphens, such as "missing-file".
   */
  regauth_bytes code;
  /**
   * One sentence: what is so.
   */
  regauth_bytes what;
  /**
   * One sentence: what to do.
   */
  regauth_bytes remedy;
} regauth_diagnostic;

/**
 * Signs `message`, which is not hashed yet, by one of the schemes that were given: writes at most `cap` bytes to
 * `signature` and their number to `len`, and returns 0; anything else ends the handshake. Called once in each full
 * handshake, from the thread that polls the connection, and perhaps from several at once. It must not call the library.
 */
typedef int32_t (*regauth_sign_fn)(void *arg,
                                   uint16_t scheme,
                                   const void *message,
                                   size_t message_len,
                                   void *signature,
                                   size_t cap,
                                   size_t *len);

/**
 * What a TLS connection wants.
 */
typedef struct {
  /**
   * sizeof(regauth_tls_step), set by the caller.
   */
  size_t struct_size;
  /**
   * REGAUTH_TLS_WRITE to REGAUTH_TLS_FAILED.
   */
  uint32_t kind;
  /**
   * Whether the handshake is over, so that bytes can be sent. In TLS 1.3 that does not mean that the server has
   * accepted: REGAUTH_EVIDENCE_ACCEPTED.
   */
  uint32_t ready;
  /**
   * WRITE, PLAIN: the bytes, lent by the connection.
   */
  regauth_bytes bytes;
} regauth_tls_step;

/**
 * Room for what is read from a socket.
 */
typedef struct {
  /**
   * Where it begins.
   */
  void *ptr;
  /**
   * How much there is; 0 where nothing more is wanted, for now or at all.
   */
  size_t len;
} regauth_space;

/**
 * What a connection is pooled by: it serves a REGAUTH_DO_CONNECT with the same origin and profile, through a proxy or not
 * as before.
 */
typedef struct {
  /**
   * sizeof(regauth_link_info), set by the caller.
   */
  size_t struct_size;
  /**
   * Scheme, host and port, lent by the link.
   */
  regauth_bytes origin;
  /**
   * The TLS profile.
   */
  uint32_t profile;
  /**
   * Whether it goes through a proxy.
   */
  uint32_t proxied;
} regauth_link_info;

/**
 * What to do next. All bytes are lent by the exchange, until the next call on it that takes it without const.
 */
typedef struct {
  /**
   * sizeof(regauth_do), set by the caller.
   */
  size_t struct_size;
  /**
   * REGAUTH_DO_*. Fields of other kinds are 0.
   */
  uint32_t kind;
  /**
   * CONNECT: REGAUTH_HOP_*.
   */
  uint32_t hop;
  /**
   * CONNECT: scheme, host and port.
   */
  regauth_bytes origin;
  /**
   * CONNECT: the host, for a resolver: IPv6 without brackets. The exchange speaks TLS itself.
   */
  regauth_bytes host;
  /**
   * CONNECT: the port.
   */
  uint32_t port;
  /**
   * CONNECT: the TLS profile, for the pool.
   */
  uint32_t profile;
  /**
   * CONNECT: whether a pooled link will do.
   */
  uint32_t pooled;
  /**
   * WANT_BODY: it has to begin at its start once more; if it cannot, regauth_exchange_body_gone.
   */
  uint32_t again;
  /**
   * WRITE, BODY: the bytes.
   */
  regauth_bytes bytes;
  /**
   * HEAD, DONE: the status of the application's answer.
   */
  uint32_t status;
  /**
   * DONE: whether the registry denied a cross-repository mount: no failed push, upload the blob instead.
   */
  uint32_t mount_denied;
  /**
   * HEAD: the header fields in their order; one that was sent twice is there twice.
   */
  const regauth_header *headers;
  /**
   * HEAD: how many.
   */
  size_t headers_len;
  /**
   * CREDENTIALS: the registry's origin.
   */
  regauth_bytes registry;
  /**
   * CREDENTIALS: the helper to run, docker-credential-NAME, where the configuration names one; else the look-up is
   * the host's own. No path: it comes from a configuration file.
   */
  regauth_bytes helper;
  /**
   * CREDENTIALS: what goes to the helper's standard input.
   */
  regauth_bytes helper_url;
  /**
   * WAIT: when to poll at the latest, in Unix milliseconds.
   */
  uint64_t until;
  /**
   * WAIT: REGAUTH_WAIT_*.
   */
  uint32_t why;
  /**
   * Always 0.
   */
  uint32_t reserved;
} regauth_do;

/**
 * One request that went out, and what came of it. All bytes are lent by the exchange, until the next call on it that
 * takes it without const.
 */
typedef struct {
  /**
   * sizeof(regauth_sent), set by the caller.
   */
  size_t struct_size;
  /**
   * REGAUTH_HOP_*.
   */
  uint32_t hop;
  /**
   * The status of its answer; 0 where none came.
   */
  uint32_t status;
  /**
   * Its method.
   */
  regauth_bytes method;
  /**
   * Where to, without the query, which may hold a signature.
   */
  regauth_bytes url;
  /**
   * The labels of the identities that its connection may show; none where it may show none.
   */
  regauth_bytes identity;
  /**
   * The scheme of its Authorization; none where it had none.
   */
  regauth_bytes authorization;
  /**
   * Whether the connection had served an earlier request.
   */
  uint32_t reused;
  /**
   * Always 0.
   */
  uint32_t reserved;
  /**
   * When it began, in Unix milliseconds.
   */
  uint64_t begun;
  /**
   * When the answer's head was there, later when all of it was, or when it failed; 0 before.
   */
  uint64_t ended;
} regauth_sent;

/**
 * What is known of a verified certificate. All bytes are lent by the peer, for as long as it is held.
 */
typedef struct {
  /**
   * sizeof(regauth_peer_info), set by the caller.
   */
  size_t struct_size;
  /**
   * SHA-256 of its DER: what tokens are bound to.
   */
  uint8_t sha256[32];
  /**
   * When it ends, in Unix milliseconds; 0 where that is not known.
   */
  uint64_t not_after;
  /**
   * Its SPIFFE id; `ptr` is NULL where it has none.
   */
  regauth_bytes spiffe;
  /**
   * Its subject's only common name, which nothing here takes for an identity; `ptr` is NULL where there is none.
   */
  regauth_bytes common_name;
} regauth_peer_info;

/**
 * A key that verifies tokens: give one of `public_pem` and `certificate_der`.
 */
typedef struct {
  /**
   * SubjectPublicKeyInfo, PEM.
   */
  regauth_bytes public_pem;
  /**
   * The certificate that a registry has in its rootcertbundle, DER. Only its key is read.
   */
  regauth_bytes certificate_der;
  /**
   * One more `kid` for it; none for its RFC 7638 thumbprint and its libtrust id alone.
   */
  regauth_bytes kid;
} regauth_trusted_key;

/**
 * What a guard is made of.
 */
typedef struct {
  /**
   * sizeof(regauth_guard_config), set by the caller.
   */
  size_t struct_size;
  /**
   * The token endpoint's absolute URL.
   */
  regauth_bytes realm;
  /**
   * The registry's service, which tokens have as their audience.
   */
  regauth_bytes service;
  /**
   * The issuer of its tokens.
   */
  regauth_bytes issuer;
  /**
   * The keys that verify them.
   */
  const regauth_trusted_key *keys;
  /**
   * How many.
   */
  size_t keys_len;
  /**
   * The longest life of a token that is believed, in seconds; 0 for 3660.
   */
  uint64_t max_life;
  /**
   * Whether every token has to be bound to a client certificate (RFC 8705 section 3).
   */
  uint32_t require_bound;
  /**
   * Whether a certificate counts that a proxy has verified. Only where every way to the host goes through that proxy.
   */
  uint32_t trust_proxy;
  /**
   * Whether the realm may be plain http where it is not loopback.
   */
  uint32_t insecure_realm;
  /**
   * Always 0.
   */
  uint32_t reserved;
} regauth_guard_config;

/**
 * A request, as the host's HTTP server read it.
 */
typedef struct {
  /**
   * sizeof(regauth_call), set by the caller.
   */
  size_t struct_size;
  /**
   * The method, byte for byte.
   */
  regauth_bytes method;
  /**
   * The request target as it was received: path and query, neither decoded nor cleaned.
   */
  regauth_bytes target;
  /**
   * The values of all Authorization fields, one each.
   */
  const regauth_bytes *authorization;
  /**
   * How many.
   */
  size_t authorization_len;
  /**
   * The value of Content-Type; `ptr` is NULL where there is none.
   */
  regauth_bytes content_type;
  /**
   * The body of a token request; the guard does not look at it.
   */
  regauth_bytes body;
  /**
   * The verified client certificate; NULL where there is none.
   */
  const regauth_peer *peer;
} regauth_call;

/**
 * What to do with a request. All bytes are lent by the reply.
 */
typedef struct {
  /**
   * sizeof(regauth_reply_info), set by the caller.
   */
  size_t struct_size;
  /**
   * REGAUTH_VERDICT_*.
   */
  uint32_t verdict;
  /**
   * SEND: the status.
   */
  uint32_t status;
  /**
   * SEND: the header fields; Content-Length is the host's.
   */
  const regauth_header *headers;
  /**
   * How many.
   */
  size_t headers_len;
  /**
   * SEND: the body, which may hold a token: secret.
   */
  regauth_bytes body;
  /**
   * SEND: why, a short name for the log, such as "token-expired".
   */
  regauth_bytes reason;
  /**
   * The token's jti, for a log or a list of revoked ones; `ptr` is NULL where there is none.
   */
  regauth_bytes jti;
  /**
   * ALLOW: the token's sub; empty for an anonymous client.
   */
  regauth_bytes subject;
  /**
   * ALLOW: the scopes that the request needed, a space between each.
   */
  regauth_bytes needed;
  /**
   * ALLOW: when the token was issued, in Unix milliseconds; 0 without a token.
   */
  uint64_t issued_at;
  /**
   * ALLOW: whether the token is bound to the client's certificate.
   */
  uint32_t bound;
  /**
   * Always 0.
   */
  uint32_t reserved;
} regauth_reply_info;

/**
 * What is known of a key. All bytes are lent by the key, for as long as it is held.
 */
typedef struct {
  /**
   * sizeof(regauth_signing_key_info), set by the caller.
   */
  size_t struct_size;
  /**
   * PKCS#8, PEM; `ptr` is NULL where the key is held elsewhere. Secret.
   */
  regauth_bytes private_pem;
  /**
   * SubjectPublicKeyInfo, PEM.
   */
  regauth_bytes public_pem;
  /**
   * SHA-256 thumbprint of the JWK (RFC 7638 section 3), base64url.
   */
  regauth_bytes thumbprint;
  /**
   * The libtrust id.
   */
  regauth_bytes libtrust_id;
} regauth_signing_key_info;

/**
 * How tokens name the key that verifies them.
 */
typedef struct {
  /**
   * sizeof(regauth_key_ref), set by the caller.
   */
  size_t struct_size;
  /**
   * REGAUTH_KEY_*.
   */
  uint32_t kind;
  /**
   * Always 0.
   */
  uint32_t reserved;
  /**
   * KID: the text.
   */
  regauth_bytes kid;
  /**
   * X5C: certificates, DER, the key's own first.
   */
  const regauth_bytes *chain;
  /**
   * How many.
   */
  size_t chain_len;
} regauth_key_ref;

/**
 * What an issuer is made of.
 */
typedef struct {
  /**
   * sizeof(regauth_issuer_config), set by the caller.
   */
  size_t struct_size;
  /**
   * The tokens' iss: what registries have as the issuer.
   */
  regauth_bytes issuer;
  /**
   * The registries' services; a token's aud is one of them.
   */
  const regauth_bytes *services;
  /**
   * How many.
   */
  size_t services_len;
  /**
   * The key that signs.
   */
  const regauth_signing_key *key;
  /**
   * How tokens name it.
   */
  const regauth_key_ref *reference;
  /**
   * Seconds that a token lives, 60 to 3600; 0 for 300.
   */
  uint64_t ttl;
  /**
   * REGAUTH_BIND_*.
   */
  uint32_t bind;
  /**
   * Whether a certificate counts that a proxy has verified. Only where every way to the host goes through that proxy.
   */
  uint32_t trust_proxy;
} regauth_issuer_config;

/**
 * A token request. All bytes are lent by it.
 */
typedef struct {
  /**
   * sizeof(regauth_ask_info), set by the caller.
   */
  size_t struct_size;
  /**
   * REGAUTH_CREDENTIAL_*: what the client proves itself with, beside its certificate.
   */
  uint32_t credential;
  /**
   * Whether it has shown a certificate that counts. Where there is a credential too, decide which of them counts, or
   * that they have to agree.
   */
  uint32_t has_peer;
  /**
   * The user; `ptr` is NULL where there is none.
   */
  regauth_bytes user;
  /**
   * The password or token; `ptr` is NULL where there is none. Secret.
   */
  regauth_bytes secret;
  /**
   * SHA-256 of the secret, to look up a random one by; zeros where there is none.
   */
  uint8_t secret_sha256[32];
  /**
   * Which of the configured services the token is for.
   */
  regauth_bytes service;
  /**
   * The scopes asked for that can be granted at all, a space between each.
   */
  regauth_bytes scopes;
  /**
   * What software asks, as it says itself, for a log; `ptr` is NULL where it does not say.
   */
  regauth_bytes client_id;
} regauth_ask_info;

/**
 * A token that lacks its signature. All bytes are lent by it.
 */
typedef struct {
  /**
   * sizeof(regauth_unsigned_info), set by the caller.
   */
  size_t struct_size;
  /**
   * What to sign, with ECDSA on P-256 over SHA-256: the JWS Signing Input (RFC 7515 section 5.1).
   */
  regauth_bytes signing_input;
  /**
   * SHA-256 of it, for a signer that takes a digest.
   */
  uint8_t digest[32];
} regauth_unsigned_info;

/**
 * A certificate. All bytes are lent by the object that was asked.
 */
typedef struct {
  /**
   * sizeof(regauth_issued_info), set by the caller.
   */
  size_t struct_size;
  /**
   * The certificate alone, PEM.
   */
  regauth_bytes cert_pem;
  /**
   * The same, DER.
   */
  regauth_bytes cert_der;
  /**
   * Its key: PKCS#8, PEM; `ptr` is NULL where that is somewhere else. Secret: a file of it wants mode 0600.
   */
  regauth_bytes key_pem;
  /**
   * When it ends, in Unix milliseconds.
   */
  uint64_t not_after;
} regauth_issued_info;

/**
 * A name and what belongs to it. All bytes are lent by the bundle.
 */
typedef struct {
  /**
   * sizeof(regauth_named), set by the caller.
   */
  size_t struct_size;
  /**
   * A file's name, or what a command is for.
   */
  regauth_bytes name;
  /**
   * The file's contents, which are secret for names that end in ".key"; or the command, for a POSIX shell.
   */
  regauth_bytes contents;
} regauth_named;

/**
 * Done.
 */
#define REGAUTH_OK 0

/**
 * A pointer is NULL that must not be.
 */
#define REGAUTH_NULL 1

/**
 * The call does not fit the state of the object: out of order, from inside a callback, or after the object was used up.
 */
#define REGAUTH_MISUSE 2

/**
 * A defect of the library, in this call or in an earlier one on the same object, which is of no more use: free it.
 */
#define REGAUTH_PANIC 3

/**
 * An argument that is none: an unknown number or flag, text that is not UTF-8, a struct_size that cannot be.
 */
#define REGAUTH_INPUT 4

/**
 * It failed; the object's error, or the error that was given out, says why.
 */
#define REGAUTH_FAILED 5

/**
 * The buffer is too small; the length that is needed was given out, and nothing else.
 */
#define REGAUTH_SPACE 6

/**
 * There is nothing to give: no error.
 */
#define REGAUTH_NONE 7

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The ABI of the library that is linked, to be compared with REGAUTH_ABI. Any thread.
 */
uint32_t regauth_abi(void);

/**
 * The version of the library, such as "0.1.0", for people. Static, ends with a zero byte. Any thread.
 */
const char *regauth_version(void);

/**
 * The name of a status, such as "misuse", for people; "unknown" for any other number. Static, ends with a zero byte.
 * Any thread.
 */
const char *regauth_status_name(regauth_status status);

/**
 * The name of a hop: "registry", "token", "redirect", "upload", "layer" or "token-redirect"; "unknown" for any other
 * number. Static, ends with a zero byte. Any thread.
 */
const char *regauth_hop_name(uint32_t hop);

/**
 * The name of a fault: "local", "registry", "token-service", "network" or "policy"; "unknown" for any other number.
 * Static, ends with a zero byte. Any thread.
 */
const char *regauth_fault_name(uint32_t fault);

/**
 * Says what an error is. The bytes in `out` are lent by the error. One thread at a time for one error.
 */
regauth_status regauth_error_get(const regauth_error *error,
                                 regauth_error_info *out);

/**
 * Frees an error; NULL is fine.
 */
void regauth_error_free(regauth_error *error);

/**
 * The name of an identity that the host's own TLS stack holds. `fingerprint` is the SHA-256 of its leaf, 32 bytes, or
 * NULL where it is not known; it keeps tokens of one certificate apart from those of the next.
 *
 * On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL, INPUT.
 */
regauth_status regauth_identity_named(const char *label,
                                      size_t label_len,
                                      const uint8_t *fingerprint,
                                      regauth_identity **out);

/**
 * Says what is known of an identity. Any thread. Errors: NULL, INPUT.
 */
regauth_status regauth_identity_get(const regauth_identity *identity, regauth_identity_info *out);

/**
 * Counts one more holder and gives the same identity. Any thread.
 */
regauth_identity *regauth_identity_retain(regauth_identity *identity);

/**
 * Gives up one count; NULL is fine. Configurations and agents keep what they need. Any thread.
 */
void regauth_identity_free(regauth_identity *identity);

/**
 * What a broken connection is to be reported as: `seen`, one of REGAUTH_FAILURE_*, unless the evidence says more about
 * it. For hosts with a TLS stack of their own, before they report a failure. Any thread. Errors: NULL, INPUT.
 */
regauth_status regauth_evidence_failure(const regauth_evidence *evidence,
                                        uint32_t seen,
                                        uint32_t *out);

/**
 * An empty configuration. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL.
 */
regauth_status regauth_config_new(regauth_config **out);

/**
 * Sets the host entry of an origin, in the place of an earlier one. `origin` is a URL such as "https://reg.example:5000".
 * Everything in `host` is copied; identities are counted. Errors: NULL, INPUT, and FAILED for a URL that is none.
 */
regauth_status regauth_config_host(regauth_config *config,
                                   const char *origin,
                                   size_t origin_len,
                                   const regauth_host *host);

/**
 * Sets the entry for registries without one of their own: roots and headers; identities only with
 * REGAUTH_HOST_WILDCARD_IDENTITY. Errors: NULL, INPUT.
 */
regauth_status regauth_config_default_host(regauth_config *config, const regauth_host *host);

/**
 * Sets the certificate authorities for origins whose entry has none: `mode` is one of REGAUTH_ROOTS_*, `pem` are copied.
 * Errors: NULL, INPUT.
 */
regauth_status regauth_config_roots(regauth_config *config,
                                    uint32_t mode,
                                    const regauth_bytes *pem,
                                    size_t pem_len);

/**
 * Pairs a registry with another origin: `kind` is one of REGAUTH_PAIR_TOKEN and REGAUTH_PAIR_STORAGE, `flags` are
 * REGAUTH_PAIR_IDENTITY and REGAUTH_PAIR_LOCAL. Errors: NULL, INPUT, and FAILED for a URL that is none.
 */
regauth_status regauth_config_pair(regauth_config *config,
                                   const char *registry,
                                   size_t registry_len,
                                   uint32_t kind,
                                   const char *other,
                                   size_t other_len,
                                   uint32_t flags);

/**
 * Sets the credentials of a registry: `kind` is one of REGAUTH_CREDENTIALS_BASIC, _REFRESH and _BEARER; the user is
 * looked at for BASIC only. They are copied and wiped when they are not needed any more. Errors: NULL, INPUT, and FAILED
 * for a URL that is none.
 */
regauth_status regauth_config_credentials(regauth_config *config,
                                          const char *registry,
                                          size_t registry_len,
                                          uint32_t kind,
                                          const char *user,
                                          size_t user_len,
                                          const char *secret,
                                          size_t secret_len);

/**
 * The host looks up the credentials of this registry when they are needed: REGAUTH_STEP_CREDENTIALS. Errors: NULL,
 * INPUT, and FAILED for a URL that is none.
 */
regauth_status regauth_config_ask(regauth_config *config,
                                  const char *registry,
                                  size_t registry_len);

/**
 * Sets an option, one of REGAUTH_OPTION_*, to 0 or 1; all are 0 before. Errors: NULL, INPUT.
 */
regauth_status regauth_config_option(regauth_config *config, uint32_t option, uint32_t value);

/**
 * Says why the last call with this configuration, an agent's included, gave REGAUTH_FAILED. The bytes are lent by the
 * configuration. Errors: NULL, INPUT, and NONE where no call did.
 */
regauth_status regauth_config_error(const regauth_config *config,
                                    regauth_error_info *out);

/**
 * Frees a configuration; NULL is fine. Agents made of it go on.
 */
void regauth_config_free(regauth_config *config);

/**
 * A profile with these settings, which are copied; identities are counted. Roots and identities are looked at when the
 * first connection is made. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL, INPUT.
 */
regauth_status regauth_profile_new(const regauth_settings *settings,
                                   regauth_profile **out);

/**
 * Says what a profile holds. Any thread. Errors: NULL, INPUT.
 */
regauth_status regauth_profile_get(const regauth_profile *profile, regauth_profile_info *out);

/**
 * A PEM text of roots by its index, lent for as long as the profile is held. Any thread. Errors: NULL, and NONE for an
 * index that is too large.
 */
regauth_status regauth_profile_root(const regauth_profile *profile,
                                    size_t index,
                                    regauth_bytes *out);

/**
 * An ALPN name by its index, lent for as long as the profile is held. Any thread. Errors: NULL, and NONE for an index
 * that is too large.
 */
regauth_status regauth_profile_alpn(const regauth_profile *profile,
                                    size_t index,
                                    regauth_bytes *out);

/**
 * An identity by its index: certificates and key for the host's TLS stack (regauth_identity_get). On REGAUTH_OK `*out`
 * is the caller's to free. Any thread. Errors: NULL, and NONE for an index that is too large.
 */
regauth_status regauth_profile_identity(const regauth_profile *profile,
                                        size_t index,
                                        regauth_identity **out);

/**
 * What to answer to a CertificateRequest, for hosts with a TLS stack of their own. Identities are taken in their order,
 * without the first `skip`: 0, or `next` - 1 of the last attempt. `hints` are the DER names of certificate_authorities,
 * `schemes` the SignatureScheme numbers of the request; in TLS 1.3 without those of PKCS#1, which sign certificates only.
 *
 * `buf` gets one line for each identity that does not fit, with the reason, or the label of the one that does; it may be
 * NULL with `cap` and `len` 0 and NULL. Any thread. Errors: NULL, INPUT, SPACE (the choice is written all the same).
 */
regauth_status regauth_profile_choose(const regauth_profile *profile,
                                      size_t skip,
                                      const regauth_bytes *hints,
                                      size_t hints_len,
                                      const uint16_t *schemes,
                                      size_t schemes_len,
                                      regauth_choice *out,
                                      char *buf,
                                      size_t cap,
                                      size_t *len);

/**
 * Counts one more holder and gives the same profile. Any thread.
 */
regauth_profile *regauth_profile_retain(regauth_profile *profile);

/**
 * Gives up one count; NULL is fine. Any thread.
 */
void regauth_profile_free(regauth_profile *profile);

/**
 * An agent with this configuration, which is copied. On REGAUTH_OK `*out` is the caller's to free. FAILED: the text is
 * the configuration's (regauth_config_error). Errors: NULL, INPUT, FAILED.
 */
regauth_status regauth_agent_new(regauth_config *config,
                                 regauth_agent **out);

/**
 * Replaces the configuration: new certificates, new passwords. A flow keeps the one it began with; a connection made
 * from now on uses the newest profile of its origin (regauth_agent_newest). FAILED: nothing was replaced, the text is
 * the configuration's. The agent may be in use on any thread, the configuration on this one only. Errors: NULL, FAILED.
 */
regauth_status regauth_agent_replace(regauth_agent *agent,
                                     regauth_config *config);

/**
 * Counts one more holder and gives the same agent. Any thread.
 */
regauth_agent *regauth_agent_retain(regauth_agent *agent);

/**
 * Gives up one count; NULL is fine. Flows go on without it. Any thread.
 */
void regauth_agent_free(regauth_agent *agent);

/**
 * The warm path: the whole Authorization value of this request, where nothing needs to be asked. Without an allocation
 * for a URL in normal form and a plain request to a repository.
 *
 * REGAUTH_OK: `*len` bytes are in `buf`, a secret. REGAUTH_NONE: make a flow. REGAUTH_SPACE: `*len` bytes are needed,
 * and nothing was written. Any thread. Errors: NULL, INPUT.
 */
regauth_status regauth_authorize(const regauth_agent *agent,
                                 uint64_t now,
                                 const char *method,
                                 size_t method_len,
                                 const char *url,
                                 size_t url_len,
                                 char *buf,
                                 size_t cap,
                                 size_t *len);

/**
 * A flow for one request, anchored at the origin of its URL. On REGAUTH_OK `*out` is the caller's to free. Any thread.
 * `error` may be NULL. Errors: NULL, INPUT, and FAILED for a method or a URL that is none.
 */
regauth_status regauth_agent_request(const regauth_agent *agent,
                                     const char *method,
                                     size_t method_len,
                                     const char *url,
                                     size_t url_len,
                                     regauth_flow **out,
                                     regauth_error **error);

/**
 * A flow for a URL that a server named: an upload location or a page of a list (REGAUTH_HOP_REGISTRY or _UPLOAD), a
 * layer URL of a manifest (_LAYER), a redirect where the host follows them itself (_REDIRECT). A URL that breaks the
 * rules fails at the first poll, as policy. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be
 * NULL. Errors: NULL, INPUT, and FAILED for a method that is none.
 */
regauth_status regauth_agent_referred(const regauth_agent *agent,
                                      const regauth_referrer *by,
                                      uint32_t hop,
                                      const char *method,
                                      size_t method_len,
                                      const char *url,
                                      size_t url_len,
                                      regauth_flow **out,
                                      regauth_error **error);

/**
 * A flow that renews a token which is in use and about to run out, for hosts with a background task; ask until it is
 * NONE, once a second. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL, and NONE.
 */
regauth_status regauth_agent_due(const regauth_agent *agent,
                                 uint64_t now,
                                 regauth_flow **out);

/**
 * The profile that an id names, for as long as a flow that was given it lives. On REGAUTH_OK `*out` is the caller's to
 * free. Any thread. Errors: NULL, and NONE for an id that names nothing.
 */
regauth_status regauth_agent_profile(const regauth_agent *agent,
                                     uint32_t id,
                                     regauth_profile **out);

/**
 * The profile for a new connection: that of the newest configuration in the place of this one, and its id, by which the
 * connection is pooled. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL, and NONE for an id that
 * names nothing.
 */
regauth_status regauth_agent_newest(const regauth_agent *agent,
                                    uint32_t id,
                                    uint32_t *newest,
                                    regauth_profile **out);

/**
 * A referrer for a registry whose answer is not at hand any more: for a layer URL out of a stored manifest. On
 * REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL. Errors: NULL, INPUT, and FAILED for a URL
 * that is none.
 */
regauth_status regauth_referrer_registry(const char *origin,
                                         size_t origin_len,
                                         regauth_referrer **out,
                                         regauth_error **error);

/**
 * Counts one more holder and gives the same referrer. Any thread.
 */
regauth_referrer *regauth_referrer_retain(regauth_referrer *referrer);

/**
 * Gives up one count; NULL is fine. Any thread.
 */
void regauth_referrer_free(regauth_referrer *referrer);

/**
 * Adds a scope that the application knows it will need, before the first poll. Errors: NULL, INPUT.
 */
regauth_status regauth_flow_scope(regauth_flow *flow, const char *scope, size_t scope_len);

/**
 * Says who follows redirects, before the first poll: REGAUTH_REDIRECTS_*. Errors: NULL, INPUT.
 */
regauth_status regauth_flow_redirects(regauth_flow *flow, uint32_t who);

/**
 * Sets what is called when a wait may be over, in the place of an earlier one; holds from the next poll on. The library
 * takes `arg` also on an error: `drop`, which may be NULL, is called once, when no thread will call `wake` any more. That
 * may be after the flow was freed. Errors: NULL.
 */
regauth_status regauth_flow_on_wake(regauth_flow *flow,
                                    regauth_wake_fn wake,
                                    void *arg,
                                    regauth_drop_fn drop);

/**
 * Says what to do next. The same until it is answered, and calling again does no harm. `now` is Unix milliseconds.
 * Errors: NULL, INPUT.
 */
regauth_status regauth_flow_poll(regauth_flow *flow,
                                 uint64_t now,
                                 regauth_step *out);

/**
 * Asks whether this address, 4 or 16 bytes in network order, may be used for the request of the current step. Ask for
 * each address before it is used, and use that one: a name may resolve to another the next time. FAILED: skip it; when
 * none is left, regauth_flow_failed with REGAUTH_FAILURE_ADDRESS_REFUSED. The flow goes on. Errors: NULL, INPUT, FAILED.
 */
regauth_status regauth_flow_dial(regauth_flow *flow,
                                 const void *address,
                                 size_t address_len);

/**
 * The same for a proxy that resolves the name. Errors: NULL, FAILED.
 */
regauth_status regauth_flow_dial_proxied(regauth_flow *flow);

/**
 * Answers REGAUTH_STEP_SEND with what the server said; everything in `answer` is borrowed for the call. An answer that
 * was not asked for ends the flow with REGAUTH_ERROR_MISUSE. Other flows may be woken. Errors: NULL, INPUT.
 */
regauth_status regauth_flow_answer(regauth_flow *flow,
                                   uint64_t now,
                                   const regauth_answer *answer);

/**
 * Answers REGAUTH_STEP_CREDENTIALS: `kind` is one of REGAUTH_CREDENTIALS_*, NONE where nothing was found; they are kept
 * until `valid_until` in Unix milliseconds, or 0: until they are refused or the configuration is replaced. They are
 * copied. Other flows may be woken. Errors: NULL, INPUT.
 */
regauth_status regauth_flow_credentials(regauth_flow *flow,
                                        uint64_t now,
                                        uint32_t kind,
                                        const char *user,
                                        size_t user_len,
                                        const char *secret,
                                        size_t secret_len,
                                        uint64_t valid_until);

/**
 * Answers REGAUTH_STEP_CREDENTIALS where the look-up did not work, and ends the flow; `why` is one sentence without
 * secrets. Other flows may be woken. Errors: NULL, INPUT.
 */
regauth_status regauth_flow_helper_failed(regauth_flow *flow,
                                          uint64_t now,
                                          const char *why,
                                          size_t why_len);

/**
 * Answers REGAUTH_STEP_SEND with what went wrong: `why` is one of REGAUTH_FAILURE_*, `tls` what the connection showed or
 * NULL. Other flows may be woken. Errors: NULL, INPUT.
 */
regauth_status regauth_flow_failed(regauth_flow *flow,
                                   uint64_t now,
                                   uint32_t why,
                                   const regauth_evidence *tls);

/**
 * Says why the flow has failed, after REGAUTH_STEP_FAILED; before that, why the last dial was refused. The bytes are lent
 * by the flow. Errors: NULL, INPUT, and NONE where nothing failed.
 */
regauth_status regauth_flow_error(const regauth_flow *flow,
                                  regauth_error_info *out);

/**
 * Copies the transcript, every decision so far without any secret, into `buf`; `*len` is its length in bytes. SPACE:
 * `*len` bytes are needed, and nothing was written. Errors: NULL, SPACE.
 */
regauth_status regauth_flow_explain(const regauth_flow *flow,
                                    char *buf,
                                    size_t cap,
                                    size_t *len);

/**
 * What a URL in the answer is followed with (regauth_agent_referred). On REGAUTH_OK `*out` is the caller's to free.
 * Errors: NULL.
 */
regauth_status regauth_flow_referrer(const regauth_flow *flow,
                                     regauth_referrer **out);

/**
 * Frees a flow; NULL is fine. What it was doing for others passes to one of them, who is woken. From inside of a callback
 * during a call on the same flow it is freed when that call is over.
 */
void regauth_flow_free(regauth_flow *flow);

/**
 * Whether to make another attempt with the next identity, after one that showed `tls` and ended with a failure (one of
 * REGAUTH_FAILURE_*, `status` 0) or an answer (`why` 0): `*skip` is how many identities to leave out then. Whether the
 * request can be repeated is for the caller to know; another attempt takes a new connection that resumes no session. Any
 * thread. Errors: NULL, INPUT, and NONE where the end stands.
 */
regauth_status regauth_profile_retry(const regauth_profile *profile,
                                     const regauth_evidence *tls,
                                     uint32_t why,
                                     uint32_t status,
                                     size_t *skip);

/**
 * Writes into the transcript that the host answers the current REGAUTH_STEP_SEND by such an attempt. Errors: NULL, INPUT.
 */
regauth_status regauth_flow_retried(regauth_flow *flow,
                                    const regauth_evidence *tls,
                                    uint32_t why,
                                    uint32_t status);

/**
 * What an answer says about client certificates, as an error with `certificates` set: `content_type` and `body` are the
 * answer's, of the body as much as there is of its first 4 KiB; `identity` is the label of what is configured for the
 * connection, or empty; `tls` is NULL for plain http. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors:
 * NULL, INPUT, and NONE where it has nothing to do with client certificates.
 */
regauth_status regauth_diagnose(uint32_t status,
                                const char *content_type,
                                size_t content_type_len,
                                const void *body,
                                size_t body_len,
                                const char *identity,
                                size_t identity_len,
                                const regauth_evidence *tls,
                                regauth_error **out);

/**
 * The endpoints for an image that can do `want`, one of REGAUTH_CAPABILITY_*. Each is an anchor of its own; nothing of
 * the registry's goes to a mirror. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL, INPUT.
 */
regauth_status regauth_agent_endpoints(const regauth_agent *agent,
                                       const regauth_reference *image,
                                       uint32_t want,
                                       regauth_endpoints **out);

/**
 * An endpoint by its index. Errors: NULL, INPUT, and NONE for an index that is too large.
 */
regauth_status regauth_endpoints_get(const regauth_endpoints *endpoints,
                                     size_t index,
                                     regauth_endpoint *out);

/**
 * The URL of something in the repository of an endpoint: `rest` is "manifests/latest", "blobs/sha256:..". Errors: NULL,
 * INPUT, SPACE, and NONE for an index that is too large.
 */
regauth_status regauth_endpoints_url(const regauth_endpoints *endpoints,
                                     size_t index,
                                     const char *rest,
                                     size_t rest_len,
                                     char *buf,
                                     size_t cap,
                                     size_t *len);

/**
 * Frees endpoints; NULL is fine.
 */
void regauth_endpoints_free(regauth_endpoints *endpoints);

/**
 * Reads the WWW-Authenticate fields of one answer, given in their order; they are copied. `*flaws` is how many times they
 * break the grammar, and may be NULL. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL, INPUT.
 */
regauth_status regauth_challenges_parse(const regauth_bytes *fields,
                                        size_t fields_len,
                                        regauth_challenges **out,
                                        size_t *flaws);

/**
 * A challenge by its index. Errors: NULL, INPUT, and NONE for an index that is too large.
 */
regauth_status regauth_challenges_get(regauth_challenges *challenges,
                                      size_t index,
                                      regauth_challenge *out);

/**
 * Frees challenges; NULL is fine.
 */
void regauth_challenges_free(regauth_challenges *challenges);

/**
 * The scopes that a request of the distribution specification needs, separated by spaces, the needed one first and mount
 * sources after it; `target` is path and query. Nothing (`*len` 0) where a token without a scope is needed. Any thread.
 * Errors: NULL, INPUT, SPACE, and NONE where the target is no registry API.
 */
regauth_status regauth_scope_needed(const char *method,
                                    size_t method_len,
                                    const char *target,
                                    size_t target_len,
                                    char *buf,
                                    size_t cap,
                                    size_t *len);

/**
 * One list out of many: `scopes` are separated by spaces, in the order in which they became known. Any thread. Errors:
 * NULL, INPUT, SPACE.
 */
regauth_status regauth_scope_merge(const char *scopes,
                                   size_t scopes_len,
                                   char *buf,
                                   size_t cap,
                                   size_t *len);

/**
 * Whether a token for `granted` serves `needed`, both separated by spaces: `*out` is 1 or 0. Any thread. Errors: NULL,
 * INPUT.
 */
regauth_status regauth_scope_covers(const char *granted,
                                    size_t granted_len,
                                    const char *needed,
                                    size_t needed_len,
                                    uint32_t *out);

/**
 * Reads an image name, `[domain/]repository[:tag][@digest]`, with Docker's defaults. On REGAUTH_OK `*out` is the caller's
 * to free. Any thread. `error` may be NULL. Errors: NULL, INPUT, FAILED.
 */
regauth_status regauth_reference_parse(const char *name,
                                       size_t name_len,
                                       regauth_reference **out,
                                       regauth_error **error);

/**
 * Gives the parts of an image name. Any thread. Errors: NULL, INPUT.
 */
regauth_status regauth_reference_get(const regauth_reference *reference,
                                     regauth_reference_info *out);

/**
 * Frees a reference; NULL is fine. Any thread.
 */
void regauth_reference_free(regauth_reference *reference);

/**
 * The origin of a URL in normal form: "https://reg.example:5000". Any thread. `error` may be NULL. Errors: NULL, INPUT,
 * SPACE, and FAILED for a URL that is none.
 */
regauth_status regauth_origin_parse(const char *url,
                                    size_t url_len,
                                    char *buf,
                                    size_t cap,
                                    size_t *len,
                                    regauth_error **error);

/**
 * An importer without files. `now` is Unix milliseconds, at which certificates are looked at; 0: none has expired then.
 * On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL.
 */
regauth_status regauth_importer_new(uint64_t now,
                                    regauth_importer **out);

/**
 * Sets the certificate authorities that those of the files are added to: `mode` is one of REGAUTH_ROOTS_*, `pem` are
 * copied. Errors: NULL, INPUT.
 */
regauth_status regauth_importer_roots(regauth_importer *importer,
                                      uint32_t mode,
                                      const regauth_bytes *pem,
                                      size_t pem_len);

/**
 * Gives a file that configuration files name, exactly as it was wanted, before the first import; it is copied. Errors:
 * NULL, INPUT, MISUSE.
 */
regauth_status regauth_importer_file(regauth_importer *importer,
                                     const char *name,
                                     size_t name_len,
                                     const char *contents,
                                     size_t contents_len);

/**
 * The same for a directory, which is taken, also on an error. Errors: NULL, INPUT, MISUSE.
 */
regauth_status regauth_importer_file_directory(regauth_importer *importer,
                                               const char *name,
                                               size_t name_len,
                                               regauth_directory *directory);

/**
 * The same for one that could not be read: `why` in the words of the system. Errors: NULL, INPUT, MISUSE.
 */
regauth_status regauth_importer_file_unreadable(regauth_importer *importer,
                                                const char *name,
                                                size_t name_len,
                                                const char *why,
                                                size_t why_len);

/**
 * Imports a file: `format` is one of REGAUTH_FORMAT_BUILDKITD to _KUBERNETES; `name` is its path, as people are to read it
 * and as the names in it are relative to. What is wrong with it becomes a diagnostic. Errors: NULL, INPUT, and MISUSE after
 * the end.
 */
regauth_status regauth_importer_import(regauth_importer *importer,
                                       uint32_t format,
                                       const char *name,
                                       size_t name_len,
                                       const char *contents,
                                       size_t contents_len);

/**
 * The same for a file that is there and could not be read, which is never the same as none: `why` in the words of the
 * system. Errors: NULL, INPUT, MISUSE.
 */
regauth_status regauth_importer_import_unreadable(regauth_importer *importer,
                                                  uint32_t format,
                                                  const char *name,
                                                  size_t name_len,
                                                  const char *why,
                                                  size_t why_len);

/**
 * Imports directories in their search order: `format` is one of REGAUTH_FORMAT_DOCKER_CERTS (exactly one), _CONTAINERS_CERTS
 * and _HOSTS. They are taken, also on an error. Errors: NULL, INPUT, MISUSE.
 */
regauth_status regauth_importer_import_directories(regauth_importer *importer,
                                                   uint32_t format,
                                                   regauth_directory *const *directories,
                                                   size_t directories_len);

/**
 * A file or directory, by its index, that was named and not given; lent until the next import. Run the imports once with
 * a first importer, read what it wants, and run them again with a second one that is given all of that. Errors: NULL, and
 * NONE for an index that is too large.
 */
regauth_status regauth_importer_wanted(const regauth_importer *importer,
                                       size_t index,
                                       regauth_bytes *out);

/**
 * Makes the configuration, to which more may be added; the diagnostics stay here. It is made whatever they say: where an
 * identity or credentials cannot be used, requests to that host fail, and never go out without. On REGAUTH_OK `*out` is
 * the caller's to free. Errors: NULL, and MISUSE the second time.
 */
regauth_status regauth_importer_finish(regauth_importer *importer,
                                       regauth_config **out);

/**
 * A diagnostic by its index, after regauth_importer_finish. Errors: NULL, INPUT, and NONE for an index that is too large.
 */
regauth_status regauth_importer_diagnostic(const regauth_importer *importer,
                                           size_t index,
                                           regauth_diagnostic *out);

/**
 * Frees an importer; NULL is fine.
 */
void regauth_importer_free(regauth_importer *importer);

/**
 * An empty directory; `name` is its path, as people are to read it. On REGAUTH_OK `*out` is the caller's to free, or to
 * give to an importer. Any thread. Errors: NULL, INPUT.
 */
regauth_status regauth_directory_new(const char *name,
                                     size_t name_len,
                                     regauth_directory **out);

/**
 * Adds a file, which is copied; a `/` in its path makes the directories between. Errors: NULL, INPUT.
 */
regauth_status regauth_directory_add(regauth_directory *directory,
                                     const char *path,
                                     size_t path_len,
                                     const char *contents,
                                     size_t contents_len);

/**
 * Says that something in it could not be read, or, with an empty path, the directory itself: `why` in the words of the
 * system. Errors: NULL, INPUT.
 */
regauth_status regauth_directory_unreadable(regauth_directory *directory,
                                            const char *path,
                                            size_t path_len,
                                            const char *why,
                                            size_t why_len);

/**
 * Frees a directory; NULL is fine.
 */
void regauth_directory_free(regauth_directory *directory);

/**
 * Answers REGAUTH_STEP_CREDENTIALS that names a helper, with what it printed: run docker-credential-NAME get, without a
 * shell, with the URL on its standard input and no line end. `success` is whether it exited with 0. The output is copied
 * and wiped; take no more than 1 MiB of it, and set a time limit. Other flows may be woken. Errors: NULL, INPUT.
 */
regauth_status regauth_flow_helper_output(regauth_flow *flow,
                                          uint64_t now,
                                          uint32_t success,
                                          const char *output,
                                          size_t output_len);

/**
 * Answers REGAUTH_DO_CREDENTIALS that names a helper; the same as regauth_flow_helper_output. Errors: NULL, INPUT.
 */
regauth_status regauth_exchange_helper_output(regauth_exchange *exchange,
                                              uint64_t now,
                                              uint32_t success,
                                              const char *output,
                                              size_t output_len);

/**
 * An identity from PEM: the chain with the leaf first, and its key as PKCS#8, PKCS#1 or SEC1, not encrypted; both may be
 * in one text, which is then given twice. Everything is copied, the key wiped when it is not needed any more. `label`
 * stands for it in every text. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL. Errors:
 * NULL, INPUT, and FAILED for whatever would make the identity useless in a handshake.
 */
regauth_status regauth_identity_from_pem(const char *label,
                                         size_t label_len,
                                         const char *chain,
                                         size_t chain_len,
                                         const char *key,
                                         size_t key_len,
                                         regauth_identity **out,
                                         regauth_error **error);

/**
 * An identity whose key is somewhere else. `schemes` are the SignatureScheme numbers (RFC 8446 section 4.2.3) that `sign`
 * can make, best first. The library takes `arg` also on an error: `drop`, which may be NULL, is called once, when
 * `sign` will not be called any more. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL.
 * Errors: NULL, INPUT, FAILED.
 */
regauth_status regauth_identity_with_signer(const char *label,
                                            size_t label_len,
                                            const char *chain,
                                            size_t chain_len,
                                            const uint16_t *schemes,
                                            size_t schemes_len,
                                            regauth_sign_fn sign,
                                            void *arg,
                                            regauth_drop_fn drop,
                                            regauth_identity **out,
                                            regauth_error **error);

/**
 * An identity whose key the host's own TLS stack holds, which so needs no `sign`: the certificates are there for the
 * choice (regauth_profile_choose), and `schemes` are the SignatureScheme numbers (RFC 8446 section 4.2.3) that the key can
 * make, best first. In a handshake of layer b it fails. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error`
 * may be NULL. Errors: NULL, INPUT, FAILED.
 */
regauth_status regauth_identity_from_chain(const char *label,
                                           size_t label_len,
                                           const char *chain,
                                           size_t chain_len,
                                           const uint16_t *schemes,
                                           size_t schemes_len,
                                           regauth_identity **out,
                                           regauth_error **error);

/**
 * A connection to the host and port of `origin`, a URL; its first bytes are there to be written. `skip` identities of the
 * profile are left out: 0, or `next` - 1 of the evidence of an attempt that was rejected. `now` is Unix milliseconds. On
 * REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL. Errors: NULL, INPUT, and FAILED for a URL,
 * roots or identities that cannot be used.
 */
regauth_status regauth_tls_connect(const regauth_profile *profile,
                                   size_t skip,
                                   const char *origin,
                                   size_t origin_len,
                                   uint64_t now,
                                   regauth_tls **out,
                                   regauth_error **error);

/**
 * Says what the connection wants; the same until a call answers it or brings something new. `now` is Unix milliseconds.
 * Errors: NULL, INPUT.
 */
regauth_status regauth_tls_poll(regauth_tls *tls,
                                uint64_t now,
                                regauth_tls_step *out);

/**
 * Room for what is read from the socket, at least one record, lent until the next call. Errors: NULL.
 */
regauth_status regauth_tls_space(regauth_tls *tls,
                                 regauth_space *out);

/**
 * So many bytes were read into the space; 0 at the end of the stream, or where reading failed. More than there was ends
 * the connection. Errors: NULL.
 */
regauth_status regauth_tls_filled(regauth_tls *tls,
                                  size_t n);

/**
 * So many bytes of REGAUTH_TLS_WRITE were written. More than there were ends the connection. Errors: NULL.
 */
regauth_status regauth_tls_wrote(regauth_tls *tls,
                                 size_t n);

/**
 * Writing failed: nothing more is sent, and reading goes on, because the alert that says why is often there already.
 * Errors: NULL.
 */
regauth_status regauth_tls_write_failed(regauth_tls *tls);

/**
 * So many bytes of REGAUTH_TLS_PLAIN were used. More than there were ends the connection. Errors: NULL.
 */
regauth_status regauth_tls_took(regauth_tls *tls,
                                size_t n);

/**
 * Encrypts some of these bytes to be written; `*taken` says how many: none before the handshake is over, while 64 KiB wait
 * to be written, and after the end. Errors: NULL, INPUT.
 */
regauth_status regauth_tls_send(regauth_tls *tls,
                                const void *plain,
                                size_t plain_len,
                                size_t *taken);

/**
 * Ends the connection: a close_notify is written after what already waits, and nothing more is read. Errors: NULL.
 */
regauth_status regauth_tls_close(regauth_tls *tls);

/**
 * Gives the memory of empty buffers back: for a connection that is put aside. Errors: NULL.
 */
regauth_status regauth_tls_release(regauth_tls *tls);

/**
 * The protocol that the server chose among the profile's ALPN names, lent by the connection. Errors: NULL, and NONE where
 * it chose none.
 */
regauth_status regauth_tls_alpn(regauth_tls *tls,
                                regauth_bytes *out);

/**
 * The facts about client certificates, as far as they are known; lent by the connection. Errors: NULL, INPUT.
 */
regauth_status regauth_tls_evidence(regauth_tls *tls,
                                    regauth_evidence *out);

/**
 * Says why the connection has failed, after REGAUTH_TLS_FAILED. The bytes are lent by the connection. Errors: NULL, INPUT,
 * and NONE where it has not.
 */
regauth_status regauth_tls_error(const regauth_tls *tls,
                                 regauth_error_info *out);

/**
 * Frees a connection; NULL is fine. The socket is the host's.
 */
void regauth_tls_free(regauth_tls *tls);

/**
 * Says what a connection is pooled by. Errors: NULL, INPUT.
 */
regauth_status regauth_link_get(const regauth_link *link, regauth_link_info *out);

/**
 * Frees a link; NULL is fine. Its socket is of no more use then.
 */
void regauth_link_free(regauth_link *link);

/**
 * An exchange for this flow of this agent. It takes the flow and its waker, also on an error: the pointer is of no more
 * use. On REGAUTH_OK `*out` is the caller's to free. Errors: NULL, PANIC.
 */
regauth_status regauth_exchange_new(const regauth_agent *agent,
                                    regauth_flow *flow,
                                    regauth_exchange **out);

/**
 * Adds a field to the application's requests, before the first poll: Accept, Range, Content-Type. They go wherever a
 * redirect leads, and not to token services. FAILED for a field that cannot be sent or is not the application's to set;
 * the exchange goes on without it. Errors: NULL, INPUT, FAILED.
 */
regauth_status regauth_exchange_header(regauth_exchange *exchange,
                                       const char *name,
                                       size_t name_len,
                                       const char *value,
                                       size_t value_len);

/**
 * Announces a body, before the first poll: its length in bytes, or REGAUTH_CHUNKED. Errors: NULL.
 */
regauth_status regauth_exchange_body_len(regauth_exchange *exchange, uint64_t length);

/**
 * Says, before the first poll, that the body can begin at its start once more. Without this a request of whose body bytes
 * were sent is not repeated with another identity (REGAUTH_HOST_TRY_PAIRS_ON_STATUS). Errors: NULL.
 */
regauth_status regauth_exchange_body_rewinds(regauth_exchange *exchange);

/**
 * Sets what is called when a wait may be over; the same as regauth_flow_on_wake. Errors: NULL.
 */
regauth_status regauth_exchange_on_wake(regauth_exchange *exchange,
                                        regauth_wake_fn wake,
                                        void *arg,
                                        regauth_drop_fn drop);

/**
 * Says what to do next. The same until it is answered or something new has come in; calling again does no harm. `now` is
 * Unix milliseconds. Other exchanges may be woken. Errors: NULL, INPUT.
 */
regauth_status regauth_exchange_poll(regauth_exchange *exchange,
                                     uint64_t now,
                                     regauth_do *out);

/**
 * Asks whether this address, 4 or 16 bytes in network order, may be used for the current REGAUTH_DO_CONNECT. Ask for each
 * address before it is used, and use that one. FAILED: skip it; when none is left, regauth_exchange_failed with
 * REGAUTH_FAILURE_ADDRESS_REFUSED. Errors: NULL, INPUT, FAILED.
 */
regauth_status regauth_exchange_dial(regauth_exchange *exchange,
                                     const void *address,
                                     size_t address_len);

/**
 * The same for a proxy that resolves the name, of which the host makes the tunnel. Errors: NULL, FAILED.
 */
regauth_status regauth_exchange_dial_proxied(regauth_exchange *exchange);

/**
 * Answers REGAUTH_DO_CONNECT: `link` is NULL for a new connection to the address that was allowed last; or it is that of
 * a pooled one, which is taken, also on an error. Errors: NULL.
 */
regauth_status regauth_exchange_connected(regauth_exchange *exchange,
                                          uint64_t now,
                                          regauth_link *link);

/**
 * Room for what is read from the socket, lent until the next call. Errors: NULL.
 */
regauth_status regauth_exchange_space(regauth_exchange *exchange, regauth_space *out);

/**
 * So many bytes were read into the space; 0 at the end of the stream. Errors: NULL.
 */
regauth_status regauth_exchange_filled(regauth_exchange *exchange, size_t n);

/**
 * So many bytes of REGAUTH_DO_WRITE were written. Errors: NULL.
 */
regauth_status regauth_exchange_wrote(regauth_exchange *exchange, size_t n);

/**
 * Answers REGAUTH_DO_HEAD: the head was looked at. Errors: NULL.
 */
regauth_status regauth_exchange_took_head(regauth_exchange *exchange);

/**
 * So many bytes of REGAUTH_DO_BODY were used. Errors: NULL.
 */
regauth_status regauth_exchange_took(regauth_exchange *exchange, size_t n);

/**
 * Answers REGAUTH_DO_WANT_BODY with the next bytes; `last` is 1 where none come behind these. `*taken` says how many were
 * taken: the others are the first of the next call, which is also the one to say `last` then. Errors: NULL, INPUT.
 */
regauth_status regauth_exchange_body(regauth_exchange *exchange,
                                     const void *content,
                                     size_t content_len,
                                     uint32_t last,
                                     size_t *taken);

/**
 * Answers REGAUTH_DO_WANT_BODY where the body cannot begin at its start once more, and ends the exchange. Errors: NULL.
 */
regauth_status regauth_exchange_body_gone(regauth_exchange *exchange);

/**
 * Answers REGAUTH_DO_CREDENTIALS; the same as regauth_flow_credentials. Errors: NULL, INPUT.
 */
regauth_status regauth_exchange_credentials(regauth_exchange *exchange,
                                            uint64_t now,
                                            uint32_t kind,
                                            const char *user,
                                            size_t user_len,
                                            const char *secret,
                                            size_t secret_len,
                                            uint64_t valid_until);

/**
 * Answers REGAUTH_DO_CREDENTIALS where the look-up did not work, and ends the exchange; `why` is one sentence without
 * secrets. Errors: NULL, INPUT.
 */
regauth_status regauth_exchange_helper_failed(regauth_exchange *exchange,
                                              uint64_t now,
                                              const char *why,
                                              size_t why_len);

/**
 * Answers CONNECT, WRITE or READ with what went wrong, one of REGAUTH_FAILURE_*. After a failed write the exchange reads
 * on, unless that was a timeout. Errors: NULL, INPUT.
 */
regauth_status regauth_exchange_failed(regauth_exchange *exchange,
                                       uint64_t now,
                                       uint32_t why);

/**
 * Answers REGAUTH_DO_CLOSE: the socket is closed or pooled. Errors: NULL.
 */
regauth_status regauth_exchange_closed(regauth_exchange *exchange);

/**
 * The connection's state, to be pooled with its socket: at REGAUTH_DO_CLOSE and after REGAUTH_DO_DONE. On REGAUTH_OK `*out`
 * is the caller's to free, or to give to regauth_exchange_connected. Errors: NULL, and NONE where the connection cannot
 * serve another request.
 */
regauth_status regauth_exchange_take_link(regauth_exchange *exchange,
                                          regauth_link **out);

/**
 * A request that went out, by its index, and what came of it; `tls` may be NULL, and gets what the connection showed, or
 * zeros for plain http. Errors: NULL, INPUT, and NONE for an index that is too large.
 */
regauth_status regauth_exchange_sent(regauth_exchange *exchange,
                                     size_t index,
                                     regauth_sent *out,
                                     regauth_evidence *tls);

/**
 * Says why the exchange has failed, after REGAUTH_DO_FAILED; before that, why the last header or address was refused. The
 * bytes are lent by the exchange. Errors: NULL, INPUT, and NONE where nothing failed.
 */
regauth_status regauth_exchange_error(const regauth_exchange *exchange,
                                      regauth_error_info *out);

/**
 * Copies the transcript, every decision so far without any secret; the same as regauth_flow_explain. Errors: NULL, SPACE.
 */
regauth_status regauth_exchange_explain(const regauth_exchange *exchange,
                                        char *buf,
                                        size_t cap,
                                        size_t *len);

/**
 * What a URL in the answer is followed with (regauth_agent_referred). On REGAUTH_OK `*out` is the caller's to free.
 * Errors: NULL.
 */
regauth_status regauth_exchange_referrer(const regauth_exchange *exchange,
                                         regauth_referrer **out);

/**
 * Frees an exchange; NULL is fine. What it was doing for others passes to one of them, who is woken. The socket is the
 * host's.
 */
void regauth_exchange_free(regauth_exchange *exchange);

/**
 * A certificate from its leaf's DER, of a chain that was verified: one that was merely asked for proves nothing.
 * `source` is one of REGAUTH_SOURCE_*. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL.
 * Errors: NULL, INPUT, FAILED.
 */
regauth_status regauth_peer_from_verified_der(const char *leaf,
                                              size_t leaf_len,
                                              uint32_t source,
                                              regauth_peer **out,
                                              regauth_error **error);

/**
 * A certificate of which a proxy passes on only the SHA-256 of its DER, 32 bytes. On REGAUTH_OK `*out` is the caller's to
 * free. Any thread. Errors: NULL.
 */
regauth_status regauth_peer_from_proxy_sha256(const uint8_t *sha256,
                                              regauth_peer **out);

/**
 * Says what is known of a certificate. Any thread. Errors: NULL, INPUT.
 */
regauth_status regauth_peer_get(const regauth_peer *peer, regauth_peer_info *out);

/**
 * Frees a peer; NULL is fine. Any thread.
 */
void regauth_peer_free(regauth_peer *peer);

/**
 * Somebody, by the sub of tokens; or nobody, whom no more than pull is ever granted, if it is empty. On REGAUTH_OK `*out`
 * is the caller's to free. Any thread. `error` may be NULL. Errors: NULL, INPUT, FAILED.
 */
regauth_status regauth_subject_new(const char *subject,
                                   size_t subject_len,
                                   regauth_subject **out,
                                   regauth_error **error);

/**
 * Gives it a role, which lines of a policy begin with. Errors: NULL, INPUT for a word that is no role.
 */
regauth_status regauth_subject_role(regauth_subject *subject,
                                    const char *role,
                                    size_t role_len);

/**
 * Gives it a value for a placeholder of a policy: one component of a repository name. Errors: NULL, INPUT for anything
 * else, and for a placeholder that has a value.
 */
regauth_status regauth_subject_bind(regauth_subject *subject,
                                    const char *placeholder,
                                    size_t placeholder_len,
                                    const char *value,
                                    size_t value_len);

/**
 * Tokens for it end no later than this, in Unix milliseconds. Errors: NULL.
 */
regauth_status regauth_subject_until(regauth_subject *subject, uint64_t time);

/**
 * Frees a subject; NULL is fine.
 */
void regauth_subject_free(regauth_subject *subject);

/**
 * Reads a template, such as `spiffe://example.org/tenant/{tenant}/builder/{build}`; whoever fits has this role. On
 * REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL. Errors: NULL, INPUT, FAILED.
 */
regauth_status regauth_template_parse(const char *template_,
                                      size_t template_len,
                                      const char *role,
                                      size_t role_len,
                                      regauth_template **out,
                                      regauth_error **error);

/**
 * The subject of a certificate's SPIFFE id. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL, and
 * NONE where the certificate has no SPIFFE id or that does not fit.
 */
regauth_status regauth_template_subject(const regauth_template *template_,
                                        const regauth_peer *peer,
                                        regauth_subject **out);

/**
 * Frees a template; NULL is fine. Any thread.
 */
void regauth_template_free(regauth_template *template_);

/**
 * Reads a policy: lines of role, repositories and actions, of which the first that fits decides; what fits none is
 * denied. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL, and names the line. Errors: NULL,
 * INPUT, FAILED.
 */
regauth_status regauth_policy_parse(const char *lines,
                                    size_t lines_len,
                                    regauth_policy **out,
                                    regauth_error **error);

/**
 * Frees a policy; NULL is fine. Any thread.
 */
void regauth_policy_free(regauth_policy *policy);

/**
 * A guard; nothing of its challenge is ever taken from a request. On REGAUTH_OK `*out` is the caller's to free. Any
 * thread. `error` may be NULL. Errors: NULL, INPUT, FAILED.
 */
regauth_status regauth_guard_new(const regauth_guard_config *config,
                                 regauth_guard **out,
                                 regauth_error **error);

/**
 * Whether a request may pass, by its token, at `now` in Unix milliseconds. On REGAUTH_OK `*out` is the caller's to free.
 * Any thread. Errors: NULL, INPUT.
 */
regauth_status regauth_guard_check(const regauth_guard *guard,
                                   const regauth_call *call,
                                   uint64_t now,
                                   regauth_reply **out);

/**
 * Whether somebody whom the host has authenticated without a token may pass, by a policy alone. On REGAUTH_OK `*out` is
 * the caller's to free. Any thread. Errors: NULL, INPUT, MISUSE.
 */
regauth_status regauth_guard_check_direct(const regauth_guard *guard,
                                          const regauth_call *call,
                                          const regauth_subject *subject,
                                          const regauth_policy *policy,
                                          regauth_reply **out);

/**
 * Frees a guard; NULL is fine. Any thread.
 */
void regauth_guard_free(regauth_guard *guard);

/**
 * Says what to do with a request. Errors: NULL, INPUT.
 */
regauth_status regauth_reply_get(regauth_reply *reply, regauth_reply_info *out);

/**
 * Frees a reply, and wipes its body; NULL is fine.
 */
void regauth_reply_free(regauth_reply *reply);

/**
 * The key that 32 random bytes give: the same bytes, the same key. On REGAUTH_OK `*out` is the caller's to free. Any
 * thread. `error` may be NULL. Errors: NULL, FAILED.
 */
regauth_status regauth_signing_key_generate(const uint8_t *entropy,
                                            regauth_signing_key **out,
                                            regauth_error **error);

/**
 * The key that an earlier one's `private_pem` says. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may
 * be NULL. Errors: NULL, INPUT, FAILED.
 */
regauth_status regauth_signing_key_from_pem(const char *pem,
                                            size_t pem_len,
                                            regauth_signing_key **out,
                                            regauth_error **error);

/**
 * The key whose private half is held elsewhere (PKCS#11, a TPM, a key service); `pem` is its public one,
 * SubjectPublicKeyInfo. An issuer of it cannot issue: see regauth_issuer_prepare. On REGAUTH_OK `*out` is the caller's to
 * free. Any thread. `error` may be NULL. Errors: NULL, INPUT, FAILED.
 */
regauth_status regauth_signing_key_from_public_pem(const char *pem,
                                                   size_t pem_len,
                                                   regauth_signing_key **out,
                                                   regauth_error **error);

/**
 * Says what is known of a key. Any thread. Errors: NULL, INPUT.
 */
regauth_status regauth_signing_key_get(const regauth_signing_key *key,
                                       regauth_signing_key_info *out);

/**
 * A JWK set (RFC 7517 section 5) with this key, its kid as `reference` says. Any thread. `error` may be NULL. Errors: NULL,
 * INPUT, SPACE, FAILED.
 */
regauth_status regauth_signing_key_jwks(const regauth_signing_key *key,
                                        const regauth_key_ref *reference,
                                        char *buf,
                                        size_t cap,
                                        size_t *len,
                                        regauth_error **error);

/**
 * Frees a key, and wipes it; NULL is fine. Any thread.
 */
void regauth_signing_key_free(regauth_signing_key *key);

/**
 * An issuer, checked: that the reference fits its key too. The key may be freed after. On REGAUTH_OK `*out` is
 * the caller's to free. Any thread. `error` may be NULL. Errors: NULL, INPUT, FAILED.
 */
regauth_status regauth_issuer_new(const regauth_issuer_config *config,
                                  regauth_issuer **out,
                                  regauth_error **error);

/**
 * Reads a token request. On REGAUTH_OK exactly one of `*ask` and `*refused` is not NULL, and the caller's to free: the
 * second is to be sent as it is. Any thread. Errors: NULL, INPUT.
 */
regauth_status regauth_issuer_read(const regauth_issuer *issuer,
                                   const regauth_call *call,
                                   regauth_ask **ask,
                                   regauth_reply **refused);

/**
 * Says what was asked for. Errors: NULL, INPUT.
 */
regauth_status regauth_ask_get(regauth_ask *ask, regauth_ask_info *out);

/**
 * The answer with a token for what was asked for, at `now` in Unix milliseconds, and what `policy` lets `subject` do;
 * `jti` is 16 random bytes. On REGAUTH_OK `*out` is the caller's to free, and may be a refusal. Any thread. Errors: NULL,
 * MISUSE.
 */
regauth_status regauth_issuer_issue(const regauth_issuer *issuer,
                                    regauth_ask *ask,
                                    const regauth_subject *subject,
                                    const regauth_policy *policy,
                                    uint64_t now,
                                    const uint8_t *jti,
                                    regauth_reply **out);

/**
 * The same where the host has a policy of its own: `may` are the scopes that `subject` may have, whatever was asked for.
 * Errors: NULL, INPUT for an empty text, MISUSE.
 */
regauth_status regauth_issuer_issue_scopes(const regauth_issuer *issuer,
                                           regauth_ask *ask,
                                           const regauth_subject *subject,
                                           const regauth_bytes *may,
                                           size_t may_len,
                                           uint64_t now,
                                           const uint8_t *jti,
                                           regauth_reply **out);

/**
 * regauth_issuer_issue up to the signature, which the host makes where the key is held; then regauth_issuer_finish, or
 * regauth_issuer_refuse where it cannot sign. On REGAUTH_OK exactly one of `*out` and `*refused` is not NULL, and the
 * caller's to free: the second is to be sent as it is. Any thread. Errors: NULL, MISUSE.
 */
regauth_status regauth_issuer_prepare(const regauth_issuer *issuer,
                                      regauth_ask *ask,
                                      const regauth_subject *subject,
                                      const regauth_policy *policy,
                                      uint64_t now,
                                      const uint8_t *jti,
                                      regauth_unsigned **out,
                                      regauth_reply **refused);

/**
 * regauth_issuer_issue_scopes up to the signature, as regauth_issuer_prepare. Errors: NULL, INPUT for an empty text,
 * MISUSE.
 */
regauth_status regauth_issuer_prepare_scopes(const regauth_issuer *issuer,
                                             regauth_ask *ask,
                                             const regauth_subject *subject,
                                             const regauth_bytes *may,
                                             size_t may_len,
                                             uint64_t now,
                                             const uint8_t *jti,
                                             regauth_unsigned **out,
                                             regauth_reply **refused);

/**
 * Says what to sign. Errors: NULL, INPUT.
 */
regauth_status regauth_unsigned_get(regauth_unsigned *token, regauth_unsigned_info *out);

/**
 * The answer with the token that the host has signed: `signature` is DER, or r and s of 32 bytes each. It is verified: one
 * that the issuer's key has not made over the token gets 500, and the token does not leave. On REGAUTH_OK `*out` is the
 * caller's to free. Any thread. Errors: NULL, MISUSE.
 */
regauth_status regauth_issuer_finish(const regauth_issuer *issuer,
                                     regauth_unsigned *token,
                                     const uint8_t *signature,
                                     size_t signature_len,
                                     regauth_reply **out);

/**
 * Frees a token that lacks its signature; NULL is fine.
 */
void regauth_unsigned_free(regauth_unsigned *token);

/**
 * The answer without a token: `why` is one of REGAUTH_REFUSE_*, `seconds` the Retry-After of the last two. On REGAUTH_OK
 * `*out` is the caller's to free. Any thread. Errors: NULL, INPUT, MISUSE.
 */
regauth_status regauth_issuer_refuse(const regauth_issuer *issuer,
                                     regauth_ask *ask,
                                     uint32_t why,
                                     uint32_t seconds,
                                     regauth_reply **out);

/**
 * Frees a token request, and wipes its secret; NULL is fine.
 */
void regauth_ask_free(regauth_ask *ask);

/**
 * Frees an issuer; NULL is fine. Any thread.
 */
void regauth_issuer_free(regauth_issuer *issuer);

/**
 * A CA that begins to hold 5 min before `now`, in Unix milliseconds, and ends `ttl` seconds after it, a day at most.
 * `entropy` is 32 random bytes for this call alone. Its key is in memory only. On REGAUTH_OK `*out` is the caller's to
 * free. Any thread. `error` may be NULL. Errors: NULL, INPUT, FAILED.
 */
regauth_status regauth_ca_new(uint64_t now,
                              uint64_t ttl,
                              const char *name,
                              size_t name_len,
                              const uint8_t *entropy,
                              regauth_ca **out,
                              regauth_error **error);

/**
 * Gives the CA's own certificate, for as long as the CA is held; it has no `key_pem`. Any thread. Errors: NULL, INPUT.
 */
regauth_status regauth_ca_get(const regauth_ca *ca,
                              regauth_issued_info *out);

/**
 * A server's certificate for these host names and IP addresses. Lives `ttl` seconds, at most as long as the CA; `now` and
 * `entropy` as for regauth_ca_new. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL. Errors:
 * NULL, INPUT, FAILED.
 */
regauth_status regauth_ca_server(const regauth_ca *ca,
                                 const regauth_bytes *names,
                                 size_t names_len,
                                 uint64_t now,
                                 uint64_t ttl,
                                 const uint8_t *entropy,
                                 regauth_issued **out,
                                 regauth_error **error);

/**
 * A client's certificate with the common name `label` and, unless it is empty, the URI SAN `uri`. All else as for
 * regauth_ca_server.
 */
regauth_status regauth_ca_client(const regauth_ca *ca,
                                 const char *label,
                                 size_t label_len,
                                 const char *uri,
                                 size_t uri_len,
                                 uint64_t now,
                                 uint64_t ttl,
                                 const uint8_t *entropy,
                                 regauth_issued **out,
                                 regauth_error **error);

/**
 * The same for a key that is somewhere else: `key` is its public half on P-256, SubjectPublicKeyInfo in DER.
 */
regauth_status regauth_ca_client_for(const regauth_ca *ca,
                                     const char *key,
                                     size_t key_len,
                                     const char *label,
                                     size_t label_len,
                                     const char *uri,
                                     size_t uri_len,
                                     uint64_t now,
                                     uint64_t ttl,
                                     const uint8_t *entropy,
                                     regauth_issued **out,
                                     regauth_error **error);

/**
 * Frees a CA, and wipes its key; NULL is fine. Any thread.
 */
void regauth_ca_free(regauth_ca *ca);

/**
 * Gives a certificate. Errors: NULL, INPUT.
 */
regauth_status regauth_issued_get(const regauth_issued *issued, regauth_issued_info *out);

/**
 * Frees a certificate, and wipes its key; NULL is fine.
 */
void regauth_issued_free(regauth_issued *issued);

/**
 * The certificate of a key that signs tokens, DER: what goes into x5c and, as PEM, into a registry's rootcertbundle. It
 * is its own issuer. Times and entropy as for regauth_ca_new, except that `ttl` has no upper limit. Any thread. `error` may
 * be NULL. Errors: NULL, INPUT where the key is held elsewhere too, SPACE, FAILED.
 */
regauth_status regauth_token_certificate(const regauth_signing_key *key,
                                         const char *name,
                                         size_t name_len,
                                         uint64_t now,
                                         uint64_t ttl,
                                         const uint8_t *entropy,
                                         char *buf,
                                         size_t cap,
                                         size_t *len,
                                         regauth_error **error);

/**
 * A certificate as PEM, from DER. Any thread. Errors: NULL, SPACE.
 */
regauth_status regauth_certificate_pem(const char *der,
                                       size_t der_len,
                                       char *buf,
                                       size_t cap,
                                       size_t *len);

/**
 * The certificates of one buildkitd for clients that connect to `names`, which all live `ttl` seconds: CA, server, client
 * with `uri` as its URI SAN unless that is empty, and health check. The CA's key is dropped. `now` and `entropy` as for
 * regauth_ca_new. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL. Errors: NULL, INPUT,
 * FAILED.
 */
regauth_status regauth_bundle_buildkitd(const regauth_bytes *names,
                                        size_t names_len,
                                        const char *uri,
                                        size_t uri_len,
                                        uint64_t now,
                                        uint64_t ttl,
                                        const uint8_t *entropy,
                                        regauth_bundle **out,
                                        regauth_error **error);

/**
 * A file by its index, to be written with mode 0600 into a directory with mode 0700. Errors: NULL, INPUT, and NONE for an
 * index that is too large.
 */
regauth_status regauth_bundle_file(const regauth_bundle *bundle,
                                   size_t index,
                                   regauth_named *out);

/**
 * A command by its index that uses the files; `directory` is where they are, as an absolute path, `port` the one that
 * buildkitd listens on. Errors: NULL, INPUT, and NONE for an index that is too large.
 */
regauth_status regauth_bundle_command(regauth_bundle *bundle,
                                      const char *directory,
                                      size_t directory_len,
                                      uint16_t port,
                                      size_t index,
                                      regauth_named *out);

/**
 * Frees a bundle, and wipes its keys; NULL is fine.
 */
void regauth_bundle_free(regauth_bundle *bundle);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* REGAUTH_H */

/* A C string as bytes, for structs. */
static inline regauth_bytes regauth_text(const char *text) {
  regauth_bytes bytes;
  bytes.ptr = text;
  bytes.len = regauth_length(text);
  return bytes;
}

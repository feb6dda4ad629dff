/* Layer c without a socket: plain http in memory, uploads, pools, and what must not be done. */
#include "t.h"

#define PLAIN "http://127.0.0.1:5000"
#define N ((void *)0)

static regauth_exchange *begin(regauth_agent *agent, const char *method, const char *url) {
  regauth_flow *flow = N;
  regauth_exchange *exchange = N;
  OK(regauth_agent_request(agent, REGAUTH_STR(method), REGAUTH_STR(url), &flow, N));
  OK(regauth_exchange_new(agent, flow, &exchange));
  return exchange;
}

static regauth_do next(regauth_exchange *exchange) {
  regauth_do todo = {.struct_size = sizeof todo};
  OK(regauth_exchange_poll(exchange, T_NOW, &todo));
  return todo;
}

static void connect_to(regauth_exchange *exchange) {
  regauth_do todo = next(exchange);
  CHECK(todo.kind == REGAUTH_DO_CONNECT && t_is(todo.origin, PLAIN) && t_is(todo.host, "127.0.0.1"));
  CHECK(todo.port == 5000);
  OK(regauth_exchange_dial(exchange, "\x7f\0\0\1", 4));
  OK(regauth_exchange_connected(exchange, T_NOW, N));
}

/* Takes all that is written until something is to be read; one byte at a time, as a slow socket would. */
static void written(regauth_exchange *exchange, char *to, size_t cap) {
  size_t len = 0;
  for (regauth_do todo = next(exchange); todo.kind == REGAUTH_DO_WRITE; todo = next(exchange)) {
    if (len + 1 < cap) to[len++] = todo.bytes.ptr[0];
    OK(regauth_exchange_wrote(exchange, 1));
  }
  to[len] = 0;
}

static void comes(regauth_exchange *exchange, const char *text) {
  for (; *text; text++) {
    regauth_space space;
    OK(regauth_exchange_space(exchange, &space));
    CHECK(space.len >= 1);
    if (!space.len) return;
    memcpy(space.ptr, text, 1);
    OK(regauth_exchange_filled(exchange, 1));
    next(exchange);
  }
}

static void get_and_pool(void) {
  regauth_agent *agent = t_agent();
  regauth_exchange *exchange = begin(agent, "GET", PLAIN "/v2/app/manifests/1");
  char head[2048], content[64];
  size_t n = 0;
  OK(regauth_exchange_header(exchange, REGAUTH_STR("Accept"), REGAUTH_STR("text/x")));
  IS(regauth_exchange_header(exchange, REGAUTH_STR("Authorization"), REGAUTH_STR("x")), REGAUTH_FAILED);
  regauth_error_info why = {.struct_size = sizeof why};
  OK(regauth_exchange_error(exchange, &why));
  CHECK(why.kind == REGAUTH_ERROR_FIELD);
  connect_to(exchange);
  written(exchange, head, sizeof head);
  CHECK(strstr(head, "GET /v2/app/manifests/1 HTTP/1.1\r\n") && strstr(head, "Accept: text/x\r\n"));
  CHECK(next(exchange).kind == REGAUTH_DO_READ);
  comes(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nX-A: 2\r\n\r\nhello");
  regauth_do todo = next(exchange);
  CHECK(todo.kind == REGAUTH_DO_HEAD && todo.status == 200 && todo.headers_len == 3);
  CHECK(t_is(todo.headers[1].name, "X-A") && t_is(todo.headers[2].value, "2"));
  OK(regauth_exchange_took_head(exchange));
  for (todo = next(exchange); todo.kind == REGAUTH_DO_BODY; todo = next(exchange)) {
    memcpy(content + n, todo.bytes.ptr, todo.bytes.len);
    n += todo.bytes.len;
    OK(regauth_exchange_took(exchange, todo.bytes.len));
  }
  CHECK(todo.kind == REGAUTH_DO_DONE && todo.status == 200 && n == 5 && !memcmp(content, "hello", 5));
  regauth_sent sent = {.struct_size = sizeof sent};
  regauth_evidence seen = {.struct_size = sizeof seen};
  OK(regauth_exchange_sent(exchange, 0, &sent, &seen));
  CHECK(sent.hop == REGAUTH_HOP_REGISTRY && sent.status == 200 && t_is(sent.method, "GET") && seen.version == 0);
  IS(regauth_exchange_sent(exchange, 1, &sent, N), REGAUTH_NONE);
  size_t len = 0;
  char said[2048];
  OK(regauth_exchange_explain(exchange, said, sizeof said, &len));
  CHECK(t_has((regauth_bytes){said, len}, "200"));
  regauth_referrer *by = N;
  OK(regauth_exchange_referrer(exchange, &by));
  regauth_referrer_free(by);

  regauth_link *link = N;
  regauth_link_info info = {.struct_size = sizeof info};
  OK(regauth_exchange_take_link(exchange, &link));
  OK(regauth_link_get(link, &info));
  CHECK(t_is(info.origin, PLAIN) && info.proxied == 0);
  uint32_t profile = info.profile;
  IS(regauth_exchange_take_link(exchange, &link), REGAUTH_NONE);
  regauth_exchange_free(exchange);

  /* The next one takes the connection. */
  exchange = begin(agent, "HEAD", PLAIN "/v2/app/manifests/1");
  todo = next(exchange);
  CHECK(todo.kind == REGAUTH_DO_CONNECT && todo.pooled == 1 && todo.profile == profile);
  OK(regauth_exchange_connected(exchange, T_NOW, link));
  written(exchange, head, sizeof head);
  CHECK(strstr(head, "HEAD /v2/app/manifests/1 HTTP/1.1\r\n"));
  comes(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
  CHECK(next(exchange).kind == REGAUTH_DO_HEAD);
  OK(regauth_exchange_took_head(exchange));
  CHECK(next(exchange).kind == REGAUTH_DO_DONE);
  OK(regauth_exchange_sent(exchange, 0, &sent, N));
  CHECK(sent.reused == 1);
  IS(regauth_exchange_take_link(exchange, &link), REGAUTH_NONE);
  regauth_exchange_free(exchange);
  regauth_agent_free(agent);
}

static void upload(uint64_t announced) {
  regauth_agent *agent = t_agent();
  regauth_exchange *exchange = begin(agent, "PUT", PLAIN "/v2/app/manifests/1");
  char head[2048];
  size_t taken = 0;
  OK(regauth_exchange_body_len(exchange, announced));
  connect_to(exchange);
  written(exchange, head, sizeof head);
  CHECK(strstr(head, announced == REGAUTH_CHUNKED ? "Transfer-Encoding: chunked\r\n" : "Content-Length: 5\r\n"));
  regauth_do todo = next(exchange);
  CHECK(todo.kind == REGAUTH_DO_WANT_BODY && todo.again == 0);
  OK(regauth_exchange_body(exchange, "hel", 3, 0, &taken));
  CHECK(taken == 3);
  written(exchange, head, sizeof head);
  OK(regauth_exchange_body(exchange, "lo", 2, 1, &taken));
  CHECK(taken == 2);
  written(exchange, head, sizeof head);
  CHECK(strstr(head, "lo"));
  comes(exchange, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nLocation: /v2/x\r\n\r\n");
  todo = next(exchange);
  CHECK(todo.kind == REGAUTH_DO_HEAD && todo.status == 201);
  OK(regauth_exchange_took_head(exchange));
  CHECK(next(exchange).kind == REGAUTH_DO_DONE);
  regauth_exchange_free(exchange);
  regauth_agent_free(agent);
}

static void misuse(void) {
  regauth_agent *agent = t_agent();
  regauth_do todo = {.struct_size = sizeof todo};
  regauth_sent sent = {.struct_size = sizeof sent};
  size_t taken;
  IS(regauth_exchange_new(agent, N, (regauth_exchange *[]){N}), REGAUTH_NULL);
  IS(regauth_exchange_new(N, t_flow(agent, T_MANIFEST), (regauth_exchange *[]){N}), REGAUTH_NULL);
  IS(regauth_exchange_new(agent, t_flow(agent, T_MANIFEST), N), REGAUTH_NULL);
  IS(regauth_exchange_header(N, N, 0, N, 0), REGAUTH_NULL);
  IS(regauth_exchange_body_len(N, 0), REGAUTH_NULL);
  IS(regauth_exchange_on_wake(N, N, N, N), REGAUTH_NULL);
  IS(regauth_exchange_poll(N, 0, &todo), REGAUTH_NULL);
  IS(regauth_exchange_dial(N, N, 0), REGAUTH_NULL);
  IS(regauth_exchange_dial_proxied(N), REGAUTH_NULL);
  IS(regauth_exchange_connected(N, 0, N), REGAUTH_NULL);
  IS(regauth_exchange_space(N, N), REGAUTH_NULL);
  IS(regauth_exchange_filled(N, 0), REGAUTH_NULL);
  IS(regauth_exchange_wrote(N, 0), REGAUTH_NULL);
  IS(regauth_exchange_took_head(N), REGAUTH_NULL);
  IS(regauth_exchange_took(N, 0), REGAUTH_NULL);
  IS(regauth_exchange_body(N, N, 0, 0, N), REGAUTH_NULL);
  IS(regauth_exchange_body_gone(N), REGAUTH_NULL);
  IS(regauth_exchange_credentials(N, 0, 0, N, 0, N, 0, 0), REGAUTH_NULL);
  IS(regauth_exchange_helper_failed(N, 0, N, 0), REGAUTH_NULL);
  IS(regauth_exchange_failed(N, 0, 1), REGAUTH_NULL);
  IS(regauth_exchange_closed(N), REGAUTH_NULL);
  IS(regauth_exchange_take_link(N, N), REGAUTH_NULL);
  IS(regauth_exchange_sent(N, 0, &sent, N), REGAUTH_NULL);
  IS(regauth_exchange_error(N, N), REGAUTH_NULL);
  IS(regauth_exchange_explain(N, N, 0, N), REGAUTH_NULL);
  IS(regauth_exchange_referrer(N, N), REGAUTH_NULL);
  IS(regauth_link_get(N, N), REGAUTH_NULL);
  regauth_exchange_free(N);
  regauth_link_free(N);

  /* Every answer that was not asked for ends it, and after that nothing happens. */
  for (int call = 0; call < 10; call++) {
    regauth_exchange *exchange = begin(agent, "GET", PLAIN "/v2/app/manifests/1");
    next(exchange);
    switch (call) {
      case 0: OK(regauth_exchange_connected(exchange, T_NOW, N)); break; /* without a dial */
      case 1: OK(regauth_exchange_took_head(exchange)); break;
      case 2: OK(regauth_exchange_took(exchange, 1)); break;
      case 3: OK(regauth_exchange_body(exchange, "x", 1, 1, &taken)); break;
      case 4: OK(regauth_exchange_credentials(exchange, T_NOW, 0, N, 0, N, 0, 0)); break;
      case 5: OK(regauth_exchange_closed(exchange)); break;
      case 6: OK(regauth_exchange_body_gone(exchange)); break;
      case 7: OK(regauth_exchange_failed(exchange, T_NOW, REGAUTH_FAILURE_CONNECT)); break;
      case 8:
        OK(regauth_exchange_dial(exchange, "\x7f\0\0\1", 4));
        OK(regauth_exchange_connected(exchange, T_NOW, N));
        next(exchange);
        OK(regauth_exchange_wrote(exchange, SIZE_MAX));
        break;
      default:
        OK(regauth_exchange_dial(exchange, "\x7f\0\0\1", 4));
        OK(regauth_exchange_connected(exchange, T_NOW, N));
        char head[2048];
        written(exchange, head, sizeof head);
        OK(regauth_exchange_filled(exchange, SIZE_MAX));
    }
    regauth_do came = next(exchange);
    for (int i = 0; i < 3 && came.kind == REGAUTH_DO_CLOSE; i++) {
      OK(regauth_exchange_closed(exchange));
      came = next(exchange);
    }
    if (came.kind != REGAUTH_DO_FAILED) fprintf(stderr, "call %d came %u\n", call, came.kind);
    CHECK(came.kind == REGAUTH_DO_FAILED);
    regauth_error_info why = {.struct_size = sizeof why};
    OK(regauth_exchange_error(exchange, &why));
    const char *said = why.what.ptr;
    OK(regauth_exchange_took(exchange, 1));
    OK(regauth_exchange_filled(exchange, 1));
    IS(regauth_exchange_dial(exchange, "\x7f\0\0\1", 4), REGAUTH_FAILED);
    CHECK(next(exchange).kind == REGAUTH_DO_FAILED);
    OK(regauth_exchange_error(exchange, &why));
    CHECK(why.what.ptr == said);
    regauth_exchange_free(exchange);
  }
  regauth_agent_free(agent);
}

int main(void) {
  get_and_pool();
  upload(5);
  upload(REGAUTH_CHUNKED);
  misuse();
  return t_end("exchange");
}

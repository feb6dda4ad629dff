/*
 * Pulls an image over sockets of its own: layer c, poll(2), four blobs at a time on pooled connections.
 *
 *   cc pull.c $(pkg-config --cflags --libs regauth) -o pull
 *   ./pull --cert client.pem --key client.key --user robot:s3cret -o out reg.example/app:1
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

#define PARALLEL 4
#define IDLE 16
/* No byte for so long: the connection is given up. */
#define PATIENCE_MS 30000

/* A connection without work: the library's half and ours. */
typedef struct {
  regauth_link *link;
  int fd;
} idle;

/* One request at work. */
typedef struct {
  regauth_exchange *exchange;
  const char *name;
  FILE *file;
  /* The manifest, kept as text too. */
  char *text;
  size_t text_len;
  int fd;
  /* The addresses of the host that are left to try, while connecting. */
  struct addrinfo *addresses, *next;
  int connecting, woken, over, failed;
  short events;
  uint64_t until, last;
} job;

static idle pool[IDLE];
static const options *opt;

static void wake(void *arg) { ((job *)arg)->woken = 1; }

static int same(regauth_bytes a, regauth_bytes b) { return a.len == b.len && !memcmp(a.ptr, b.ptr, a.len); }

/* A pooled connection for this target, or nothing. */
static regauth_link *from_pool(const regauth_do *todo, int *fd) {
  for (int i = 0; i < IDLE; i++) {
    regauth_link_info info = {.struct_size = sizeof info};
    if (!pool[i].link || regauth_link_get(pool[i].link, &info) != REGAUTH_OK) continue;
    if (info.profile == todo->profile && !info.proxied && same(info.origin, todo->origin)) {
      regauth_link *link = pool[i].link;
      *fd = pool[i].fd;
      pool[i].link = NULL;
      return link;
    }
  }
  return NULL;
}

/* The socket is not needed any more: into the pool, or closed. */
static void put_away(job *j) {
  regauth_link *link = NULL;
  if (j->fd < 0) return;
  if (regauth_exchange_take_link(j->exchange, &link) == REGAUTH_OK) {
    for (int i = 0; i < IDLE; i++) {
      if (pool[i].link) continue;
      pool[i] = (idle){link, j->fd};
      j->fd = -1;
      return;
    }
    regauth_link_free(link);
  }
  close(j->fd);
  j->fd = -1;
}

static void close_socket(job *j) {
  if (j->fd >= 0) close(j->fd);
  j->fd = -1;
}

static void stop_resolving(job *j) {
  if (j->addresses) freeaddrinfo(j->addresses);
  j->addresses = j->next = NULL;
  j->connecting = 0;
}

/* Begins to connect to the next address that is allowed; says the end of the list to the library. */
static void try_next(job *j) {
  static const int on = 1;
  int refused = 0, tried = j->connecting;
  close_socket(j);
  for (; j->next; j->next = j->next->ai_next) {
    const struct sockaddr *to = j->next->ai_addr;
    regauth_status allowed;
    if (to->sa_family == AF_INET)
      allowed = regauth_exchange_dial(j->exchange, &((const struct sockaddr_in *)(const void *)to)->sin_addr, 4);
    else
      allowed = regauth_exchange_dial(j->exchange, &((const struct sockaddr_in6 *)(const void *)to)->sin6_addr, 16);
    if (allowed != REGAUTH_OK) {
      refused = 1;
      continue;
    }
    tried = 1;
    j->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (j->fd < 0) continue;
    setsockopt(j->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(j->fd, to, j->next->ai_addrlen) == 0 || errno == EINPROGRESS) {
      j->next = j->next->ai_next;
      j->connecting = 1;
      j->events = POLLOUT;
      return;
    }
    close_socket(j);
  }
  stop_resolving(j);
  must(regauth_exchange_failed(j->exchange, now_ms(),
                               refused && !tried ? REGAUTH_FAILURE_ADDRESS_REFUSED : REGAUTH_FAILURE_CONNECT),
       "failed");
}

static void start_connecting(job *j, const regauth_do *todo) {
  char host[256], port[8];
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  regauth_link *link = todo->pooled ? from_pool(todo, &j->fd) : NULL;
  if (link) {
    must(regauth_exchange_connected(j->exchange, now_ms(), link), "connected");
    return;
  }
  snprintf(host, sizeof host, "%.*s", (int)todo->host.len, todo->host.ptr);
  snprintf(port, sizeof port, "%u", todo->port);
  /* A program with more to do resolves on another thread. */
  if (getaddrinfo(host, port, &hints, &j->addresses)) j->addresses = NULL;
  j->next = j->addresses;
  try_next(j);
}

/* The connection is there, or it is not. */
static void finish_connecting(job *j) {
  int error = 0;
  socklen_t len = sizeof error;
  if (getsockopt(j->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
    try_next(j);
    return;
  }
  stop_resolving(j);
  must(regauth_exchange_connected(j->exchange, now_ms(), NULL), "connected");
}

static void read_some(job *j) {
  regauth_space space;
  must(regauth_exchange_space(j->exchange, &space), "space");
  ssize_t n = space.len ? recv(j->fd, space.ptr, space.len, 0) : 0;
  if (n >= 0 && space.len)
    must(regauth_exchange_filled(j->exchange, (size_t)n), "filled");
  else if (n < 0 && (errno == EAGAIN || errno == EINTR))
    j->events = POLLIN;
  else
    must(regauth_exchange_failed(j->exchange, now_ms(), REGAUTH_FAILURE_RESET), "failed");
}

static void write_some(job *j, regauth_bytes bytes) {
  ssize_t n = send(j->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
  if (n >= 0)
    must(regauth_exchange_wrote(j->exchange, (size_t)n), "wrote");
  else if (errno == EAGAIN || errno == EINTR)
    j->events = POLLOUT;
  else
    must(regauth_exchange_failed(j->exchange, now_ms(), REGAUTH_FAILURE_RESET), "failed");
}

static void keep(job *j, regauth_bytes bytes) {
  fwrite(bytes.ptr, 1, bytes.len, j->file);
  if (j->text) {
    j->text = realloc(j->text, j->text_len + bytes.len + 1);
    if (!j->text) abort();
    memcpy(j->text + j->text_len, bytes.ptr, bytes.len);
    j->text_len += bytes.len;
    j->text[j->text_len] = 0;
  }
  must(regauth_exchange_took(j->exchange, bytes.len), "took");
}

static void end(job *j, int failed) {
  regauth_error_info why = {.struct_size = sizeof why};
  j->over = 1;
  j->failed |= failed;
  if (failed && regauth_exchange_error(j->exchange, &why) == REGAUTH_OK) say(&why);
  if (j->failed || opt->verbose) {
    char text[16384];
    size_t len = 0;
    if (regauth_exchange_explain(j->exchange, text, sizeof text, &len) == REGAUTH_OK)
      fprintf(stderr, "%s:\n%.*s", j->name, (int)len, text);
  }
}

/* Does what can be done without waiting. */
static void advance(job *j) {
  j->events = 0;
  j->until = 0;
  while (!j->over && !j->events && !j->until) {
    regauth_do todo = {.struct_size = sizeof todo};
    must(regauth_exchange_poll(j->exchange, now_ms(), &todo), "poll");
    j->last = now_ms();
    switch (todo.kind) {
      case REGAUTH_DO_CONNECT: start_connecting(j, &todo); break;
      case REGAUTH_DO_WRITE: write_some(j, todo.bytes); break;
      case REGAUTH_DO_READ: read_some(j); break;
      case REGAUTH_DO_HEAD:
        if (todo.status != 200) {
          fprintf(stderr, "%s: the registry answered %u\n", j->name, todo.status);
          j->failed = 1;
        }
        must(regauth_exchange_took_head(j->exchange), "took_head");
        break;
      case REGAUTH_DO_BODY: keep(j, todo.bytes); break;
      case REGAUTH_DO_CREDENTIALS:
        must(regauth_exchange_credentials(j->exchange, now_ms(), REGAUTH_CREDENTIALS_NONE, NULL, 0, NULL, 0, 0),
             "credentials");
        break;
      case REGAUTH_DO_WAIT: j->until = todo.until; break;
      case REGAUTH_DO_CLOSE:
        put_away(j);
        must(regauth_exchange_closed(j->exchange), "closed");
        break;
      case REGAUTH_DO_DONE:
        put_away(j);
        end(j, 0);
        break;
      default:
        close_socket(j);
        end(j, 1);
    }
  }
}

static void start(job *j, regauth_agent *agent, const char *url, const char *name, int text) {
  regauth_flow *flow = NULL;
  regauth_error *error = NULL;
  *j = (job){.name = name, .fd = -1};
  must_or_say(regauth_agent_request(agent, REGAUTH_STR("GET"), REGAUTH_STR(url), &flow, &error), error, url);
  must(regauth_exchange_new(agent, flow, &j->exchange), "exchange");
  must(regauth_exchange_on_wake(j->exchange, wake, j, NULL), "on_wake");
  if (text) {
    must(regauth_exchange_header(j->exchange, REGAUTH_STR("Accept"), REGAUTH_STR(MANIFESTS)), "header");
    j->text = calloc(1, 1);
  }
  j->file = create(opt, name);
}

static int finish(job *j) {
  stop_resolving(j);
  close_socket(j);
  regauth_exchange_free(j->exchange);
  int failed = (fclose(j->file) != 0) | j->failed;
  *j = (job){.fd = -1};
  return failed;
}

/* Runs all of these to their end. */
static void run(job *jobs, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (jobs[i].exchange && !jobs[i].connecting) advance(&jobs[i]);
  for (;;) {
    struct pollfd fds[PARALLEL];
    uint64_t now = now_ms();
    int timeout = PATIENCE_MS;
    for (size_t i = 0; i < n; i++) {
      job *j = &jobs[i];
      if (j->exchange && j->over) return; /* there is room for another */
      fds[i] = (struct pollfd){.fd = j->exchange && j->events ? j->fd : -1, .events = j->events};
      if (j->woken) timeout = 0;
      if (j->exchange && j->until && (j->until <= now || j->until - now < (uint64_t)timeout))
        timeout = j->until <= now ? 0 : (int)(j->until - now);
    }
    if (poll(fds, n, timeout) < 0 && errno != EINTR) abort();
    now = now_ms();
    for (size_t i = 0; i < n; i++) {
      job *j = &jobs[i];
      if (!j->exchange) continue;
      if (fds[i].revents && j->connecting) {
        finish_connecting(j);
        if (!j->connecting) advance(j);
      } else if (fds[i].revents || j->woken || (j->until && j->until <= now)) {
        j->woken = 0;
        advance(j);
      } else if (j->events && now - j->last > PATIENCE_MS) {
        must(regauth_exchange_failed(j->exchange, now, REGAUTH_FAILURE_TIMEOUT), "failed");
        stop_resolving(j);
        advance(j);
      }
    }
  }
}

static char *get_manifest(regauth_agent *agent, const char *url, const char *name) {
  job j[1];
  start(j, agent, url, name, 1);
  run(j, 1);
  char *text = j->text;
  if (finish(j)) exit(1);
  return text;
}

int main(int argc, char **argv) {
  const options o = parse_options(argc, argv);
  opt = &o;
  regauth_reference *image = NULL;
  regauth_error *error = NULL;
  regauth_reference_info parts = {.struct_size = sizeof parts};
  must_or_say(regauth_reference_parse(REGAUTH_STR(o.image), &image, &error), error, o.image);
  must(regauth_reference_get(image, &parts), "image");
  regauth_agent *agent = make_agent(&o, parts.origin);
  char base[1024], url[2048];
  snprintf(base, sizeof base, "%.*s/v2/%.*s", (int)parts.origin.len, parts.origin.ptr, (int)parts.repository.len,
           parts.repository.ptr);
  snprintf(url, sizeof url, "%s/manifests/%.*s", base, (int)parts.reference.len, parts.reference.ptr);
  char *manifest = get_manifest(agent, url, "manifest.json");
  if (is_index(manifest)) {
    digests all = find_digests(manifest);
    free(manifest);
    if (!all.len) return 1;
    snprintf(url, sizeof url, "%s/manifests/%s", base, all.digest[0]);
    manifest = get_manifest(agent, url, all.digest[0]);
  }
  digests blobs = find_digests(manifest);
  free(manifest);

  job jobs[PARALLEL] = {{0}};
  size_t next = 0, done = 0;
  int failed = 0;
  while (done < blobs.len) {
    for (size_t i = 0; i < PARALLEL && next < blobs.len; i++) {
      if (jobs[i].exchange) continue;
      snprintf(url, sizeof url, "%s/blobs/%s", base, blobs.digest[next]);
      start(&jobs[i], agent, url, blobs.digest[next], 0);
      next++;
      advance(&jobs[i]);
    }
    run(jobs, PARALLEL);
    for (size_t i = 0; i < PARALLEL; i++) {
      if (!jobs[i].exchange || !jobs[i].over) continue;
      failed |= finish(&jobs[i]);
      done++;
    }
  }
  for (int i = 0; i < IDLE; i++) {
    if (!pool[i].link) continue;
    close(pool[i].fd);
    regauth_link_free(pool[i].link);
  }
  regauth_agent_free(agent);
  regauth_reference_free(image);
  if (!failed) printf("%zu blobs\n", blobs.len);
  return failed;
}

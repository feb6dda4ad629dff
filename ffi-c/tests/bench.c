/*
 * A million flows leave the heap where it was after a thousand, and what a warm header costs. `bench [FLOWS]`
 *
 * Linked with -Wl,--wrap for malloc and its like, so that allocations of the library are counted, Rust's included.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <time.h>

#include "t.h"

/* Volatile: a compiler knows that malloc changes no variable. */
static volatile size_t allocations, live;
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
int __real_posix_memalign(void **to, size_t align, size_t size);
void __real_free(void *old);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
int __wrap_posix_memalign(void **to, size_t align, size_t size);
void __wrap_free(void *old);

static void *count(void *made) {
  allocations = allocations + 1;
  live = live + malloc_usable_size(made);
  return made;
}
void *__wrap_malloc(size_t size) { return count(__real_malloc(size)); }
void *__wrap_calloc(size_t n, size_t size) { return count(__real_calloc(n, size)); }
void *__wrap_realloc(void *old, size_t size) {
  live = live - malloc_usable_size(old);
  return count(__real_realloc(old, size));
}
int __wrap_posix_memalign(void **to, size_t align, size_t size) {
  int came = __real_posix_memalign(to, align, size);
  if (!came) count(*to);
  return came;
}
void __wrap_free(void *old) {
  live = live - malloc_usable_size(old);
  __real_free(old);
}

static double seconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* One flow, whatever it takes; every tenth token is refused once, every hundredth flow is given up in the middle. */
static void one(regauth_agent *agent, size_t number, uint64_t now) {
  char url[96], challenge[160], token[64];
  snprintf(url, sizeof url, "https://reg.example/v2/app%zu/manifests/1", number % 50);
  regauth_flow *flow = t_flow(agent, url);
  for (int step_number = 0;; step_number++) {
    regauth_step step = t_poll(flow, now);
    if (step.kind != REGAUTH_STEP_SEND || (number % 100 == 99 && step_number == 1)) break;
    if (step.hop == REGAUTH_HOP_TOKEN) {
      snprintf(token, sizeof token, "{\"token\":\"T%zu\",\"expires_in\":300}", number);
      t_answer(flow, now, 200, "Content-Type", "application/json", token);
    } else if (!t_field(&step, "Authorization").ptr || (number % 10 == 7 && step_number == 0)) {
      snprintf(challenge, sizeof challenge,
               "Bearer realm=\"https://reg.example/token\",service=\"reg\",scope=\"repository:app%zu:pull\"",
               number % 50);
      t_answer(flow, now, 401, "WWW-Authenticate", challenge, NULL);
    } else {
      t_answer(flow, now, 200, "Content-Type", "application/json", NULL);
    }
  }
  regauth_flow_free(flow);
}

static void soak(size_t flows) {
  regauth_agent *agent = t_agent();
  size_t first = 0, number = 0;
  double start = seconds(CLOCK_MONOTONIC);
  for (; number < flows; number++) {
    if (number == 1000) first = live;
    /* A second for each, so that tokens run out too. */
    one(agent, number, T_NOW + number * 1000);
  }
  size_t last = live;
  printf("soak: %zu flows, %.1f us each, live heap %zu bytes after 1,000 and %zu after all: %+ld\n", flows,
         (seconds(CLOCK_MONOTONIC) - start) * 1e6 / (double)flows, first, last, (long)last - (long)first);
  /* Tokens and their names differ in length by a few digits; a leak of one byte a flow would be a megabyte. */
  CHECK(last < first + 4096);
  regauth_agent_free(agent);
}

static void warm(size_t calls) {
  static const char method[] = "GET", url[] = T_MANIFEST;
  regauth_agent *agent = t_agent();
  char buf[2048], token[1100];
  double best = 1e9;
  size_t len = 0;
  /* A token as long as a signed one. */
  regauth_flow *flow = t_flow(agent, T_MANIFEST);
  t_poll(flow, T_NOW);
  t_answer(flow, T_NOW, 401, "WWW-Authenticate", T_CHALLENGE, NULL);
  t_poll(flow, T_NOW);
  snprintf(token, sizeof token, "{\"token\":\"%0900d\",\"expires_in\":300}", 7);
  t_answer(flow, T_NOW, 200, NULL, NULL, token);
  t_poll(flow, T_NOW);
  t_answer(flow, T_NOW, 200, NULL, NULL, NULL);
  regauth_flow_free(flow);
  size_t before = allocations;
  for (int round = 0; round < 20; round++) {
    double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t i = 0; i < calls; i++)
      if (regauth_authorize(agent, T_NOW + 1, method, sizeof method - 1, url, sizeof url - 1, buf, sizeof buf, &len))
        t_failed++;
    double each = (seconds(CLOCK_PROCESS_CPUTIME_ID) - start) * 1e9 / (double)calls;
    if (each < best) best = each;
  }
  printf("warm: %.1f ns a call with a header of %zu bytes, %zu allocations in %zu calls\n", best, len,
         allocations - before, calls * 20);
  CHECK(allocations == before && len == 907);
  regauth_agent_free(agent);
}

int main(int argc, char **argv) {
  CHECK(allocations == 0);
  void *volatile some = malloc(1); /* the counter counts */
  free(some);
  CHECK(allocations > 0);
  size_t flows = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
  warm(flows / 5);
  soak(flows);
  return t_end("bench");
}

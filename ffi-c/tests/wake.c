/* Waits and wakers: one token request for many flows, on many threads, and duties that pass on. */
#include <pthread.h>

#include "t.h"

typedef struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int woken, dropped;
} waiter;

static void wake(void *arg) {
  waiter *w = arg;
  pthread_mutex_lock(&w->lock);
  w->woken++;
  pthread_cond_signal(&w->changed);
  pthread_mutex_unlock(&w->lock);
}

static void gone(void *arg) {
  waiter *w = arg;
  pthread_mutex_lock(&w->lock);
  w->dropped++;
  pthread_cond_signal(&w->changed);
  pthread_mutex_unlock(&w->lock);
}

static void init(waiter *w) {
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->changed, NULL);
  w->woken = w->dropped = 0;
}

static void two_flows(void) {
  regauth_agent *agent = t_agent();
  regauth_flow *first = t_flow(agent, T_MANIFEST), *second = t_flow(agent, T_MANIFEST);
  waiter w;
  init(&w);
  OK(regauth_flow_on_wake(second, wake, &w, gone));
  t_poll(first, T_NOW);
  t_poll(second, T_NOW);
  t_answer(first, T_NOW, 401, "WWW-Authenticate", T_CHALLENGE, NULL);
  t_answer(second, T_NOW, 401, "WWW-Authenticate", T_CHALLENGE, NULL);
  CHECK(t_poll(first, T_NOW).hop == REGAUTH_HOP_TOKEN);
  regauth_step step = t_poll(second, T_NOW);
  CHECK(step.kind == REGAUTH_STEP_WAIT && step.why == REGAUTH_WAIT_TOKEN && step.until > T_NOW);
  CHECK(w.woken == 0);
  /* The duty passes on. */
  regauth_flow_free(first);
  CHECK(w.woken == 1 && t_poll(second, T_NOW).hop == REGAUTH_HOP_TOKEN);
  CHECK(w.dropped == 0);
  /* Another waker in its place. */
  OK(regauth_flow_on_wake(second, NULL, NULL, NULL));
  CHECK(w.dropped == 1);
  OK(regauth_flow_on_wake(second, NULL, &w, gone));
  regauth_flow_free(second);
  CHECK(w.dropped == 2);
  /* An argument is taken also where there is no flow. */
  IS(regauth_flow_on_wake(NULL, wake, &w, gone), REGAUTH_NULL);
  CHECK(w.dropped == 3);
  regauth_agent_free(agent);
}

#define THREADS 8
#define FLOWS 200

static regauth_agent *shared;
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;
static int token_requests, finished;

static void one_flow(int number) {
  char url[96];
  /* Ten repositories, so that some flows find a token and some have to wait for one. */
  snprintf(url, sizeof url, "https://reg.example/v2/app%d/manifests/1", number % 10);
  regauth_flow *flow = t_flow(shared, url);
  waiter w;
  init(&w);
  OK(regauth_flow_on_wake(flow, wake, &w, gone));
  for (int done = 0; !done;) {
    regauth_step step = t_poll(flow, T_NOW);
    switch (step.kind) {
      case REGAUTH_STEP_SEND:
        if (step.hop == REGAUTH_HOP_TOKEN) {
          pthread_mutex_lock(&counting);
          token_requests++;
          pthread_mutex_unlock(&counting);
          t_answer(flow, T_NOW, 200, NULL, NULL, "{\"token\":\"T\",\"expires_in\":300}");
        } else if (t_field(&step, "Authorization").ptr) {
          t_answer(flow, T_NOW, 200, NULL, NULL, NULL);
        } else {
          char challenge[160];
          snprintf(challenge, sizeof challenge,
                   "Bearer realm=\"https://reg.example/token\",service=\"reg\",scope=\"repository:app%d:pull\"",
                   number % 10);
          t_answer(flow, T_NOW, 401, "WWW-Authenticate", challenge, NULL);
        }
        break;
      case REGAUTH_STEP_WAIT:
        pthread_mutex_lock(&w.lock);
        while (w.woken == 0) pthread_cond_wait(&w.changed, &w.lock);
        w.woken = 0;
        pthread_mutex_unlock(&w.lock);
        break;
      default:
        CHECK(step.kind == REGAUTH_STEP_DONE && step.status == 200);
        done = 1;
    }
  }
  regauth_flow_free(flow);
  /* Another thread may be about to wake it: only `gone` says that none will. */
  pthread_mutex_lock(&w.lock);
  while (w.dropped == 0) pthread_cond_wait(&w.changed, &w.lock);
  pthread_mutex_unlock(&w.lock);
  pthread_mutex_lock(&counting);
  finished++;
  pthread_mutex_unlock(&counting);
}

static void *run(void *arg) {
  regauth_agent *mine = regauth_agent_retain(shared);
  char buf[64];
  size_t len;
  for (int i = 0; i < FLOWS; i++) {
    one_flow(i + (int)(size_t)arg);
    regauth_status warm = regauth_authorize(mine, T_NOW, REGAUTH_STR("GET"),
                                            REGAUTH_STR("https://reg.example/v2/app3/manifests/1"), buf, sizeof buf, &len);
    CHECK(warm == REGAUTH_OK || warm == REGAUTH_NONE);
  }
  regauth_agent_free(mine);
  return NULL;
}

static void many_threads(void) {
  pthread_t threads[THREADS];
  shared = t_agent();
  for (size_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, run, (void *)i);
  for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  CHECK(finished == THREADS * FLOWS);
  if (token_requests != 10) fprintf(stderr, "%d token requests\n", token_requests);
  CHECK(token_requests == 10);
  regauth_agent_free(shared);
}

int main(void) {
  two_flows();
  many_threads();
  return t_end("wake");
}

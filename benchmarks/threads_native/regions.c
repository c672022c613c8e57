/* Times regions of any pool behind one function: int launch(task, data, tasks), as in TVM's ABI.
 * Used by ../threads.py through ctypes. Times are in nanoseconds. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct { void* sync; int32_t num_task; } Env;
typedef int (*Task)(int task, Env* env, void* data);
typedef int (*Launch)(Task task, void* data, int tasks);

static double clock_ns(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}
static double now(void) { return clock_ns(CLOCK_MONOTONIC); }

int serial_launch(Task task, void* data, int tasks) {
  Env env = {0, tasks > 0 ? tasks : 1};
  int code = 0;
  for (int i = 0; i < env.num_task && code == 0; ++i) code = task(i, &env, data);
  return code;
}

static int nothing(int task, Env* env, void* data) { return 0; }

/* A region's work: `steps` of a dependent chain, divided among the tasks; no memory traffic. */
static int chain(int task, Env* env, void* data) {
  int64_t steps = *(int64_t*)data;
  int64_t begin = steps * task / env->num_task, end = steps * (task + 1) / env->num_task;
  volatile double sink;
  double x = task;
  for (int64_t i = begin; i < end; ++i) x = x * 0.999 + 1;
  sink = x;
  (void)sink;
  return 0;
}

void* chain_task(void) { return (void*)chain; }

static int compare(const void* a, const void* b) {
  double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

/* p in [0, 1] */
static double quantile(double* values, int n, double p) {
  qsort(values, n, sizeof *values, compare);
  return values[(int)(p * (n - 1) + 0.5)];
}

/* How many steps of `chain` take a microsecond. */
double steps_per_us(void) {
  double best = 0;
  for (int i = 0; i < 20; ++i) {
    int64_t steps = 100000;
    double start = now();
    serial_launch(chain, &steps, 1);
    double rate = steps * 1e3 / (now() - start);
    if (rate > best) best = rate;
  }
  return best;
}

/* Empty regions of `tasks` tasks one after another: the best tenth of the blocks. */
double hot(Launch launch, int tasks, int blocks) {
  double* each = malloc(blocks * sizeof *each);
  for (int b = 0; b < blocks; ++b) {
    double start = now();
    for (int i = 0; i < 100; ++i) launch(nothing, 0, tasks);
    each[b] = (now() - start) / 100;
  }
  double out = quantile(each, blocks, 0.1);
  free(each);
  return out;
}

static void pause_for(double us) {
  struct timespec t = {0, (long)(us * 1e3)};
  nanosleep(&t, 0);
}

/* One region of `steps` after `rest_us` of sleep each time; quantile p. */
double region(Launch launch, int tasks, int64_t steps, double rest_us, int rounds, double p) {
  double* each = malloc(rounds * sizeof *each);
  for (int i = 0; i < rounds; ++i) {
    if (rest_us > 0) pause_for(rest_us);
    double start = now();
    launch(chain, &steps, tasks);
    each[i] = now() - start;
  }
  double out = quantile(each, rounds, p);
  free(each);
  return out;
}

/* CPU time that the process burns in the `wait_us` after a region: the median. */
double burnt(Launch launch, int tasks, double wait_us, int rounds) {
  double each[64];
  if (rounds > 64) rounds = 64;
  for (int i = 0; i < rounds; ++i) {
    int64_t steps = 20000;
    launch(chain, &steps, tasks);
    double before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    pause_for(wait_us);
    each[i] = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before;
  }
  return quantile(each, rounds, 0.5);
}

typedef struct {
  Launch launch;
  int tasks;
  int64_t steps;
  double until;
  int64_t done;
} Caller;

static void* call(void* data) {
  Caller* self = data;
  while (now() < self->until) {
    self->launch(chain, &self->steps, self->tasks);
    ++self->done;
  }
  return 0;
}

/* Regions a second that `callers` threads get done together within `ms`. */
double throughput(Launch launch, int callers, int tasks, int64_t steps, double ms) {
  pthread_t threads[16];
  Caller each[16];
  double start = now();
  for (int i = 0; i < callers; ++i) {
    each[i] = (Caller){launch, tasks, steps, start + ms * 1e6, 0};
    pthread_create(&threads[i], 0, call, &each[i]);
  }
  int64_t done = 0;
  for (int i = 0; i < callers; ++i) {
    pthread_join(threads[i], 0);
    done += each[i].done;
  }
  return done * 1e9 / (now() - start);
}

/* An op of the host, then one of ours, in turn: medians of both into out[0], out[1]. */
void alternate(Launch host, Launch ours, int tasks, int64_t steps, int rounds, double* out) {
  double *first = malloc(rounds * sizeof *first), *second = malloc(rounds * sizeof *second);
  for (int i = 0; i < rounds; ++i) {
    double start = now();
    if (host) host(chain, &steps, tasks);
    double middle = now();
    if (ours) ours(chain, &steps, tasks);
    first[i] = middle - start;
    second[i] = now() - middle;
  }
  out[0] = quantile(first, rounds, 0.5);
  out[1] = quantile(second, rounds, 0.5);
  free(first);
  free(second);
}

/* Regions as a program compiled with -fopenmp runs them. */
#include <stdint.h>
typedef struct { void* sync; int32_t num_task; } Env;
typedef int (*Task)(int task, Env* env, void* data);

int openmp_launch(Task task, void* data, int tasks) {
  int code = 0;
  Env env = {0, tasks};
#pragma omp parallel for schedule(static)
  for (int i = 0; i < tasks; ++i) {
    int mine = task(i, &env, data);
    if (mine != 0) code = mine;
  }
  return code;
}

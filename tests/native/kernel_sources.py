"""C kernels that several native tests load."""

from __future__ import annotations

ADD = """
int32_t add16(void* const* b) {
  const float *x = b[0], *y = b[1]; float* out = b[2];
  for (int i = 0; i < 16; ++i) out[i] = x[i] + y[i];
  return 0;
}
int32_t axpy(void* const* b) {  // x[6] * scalar(double)
  const double *x = b[0], *s = b[1]; double* out = b[2];
  for (int i = 0; i < 6; ++i) out[i] = x[i] * *s;
  return 0;
}
int32_t fail7(void* const* b) { return 7; }
int32_t echo(void* const* b) { memcpy(b[1], b[0], 16); return 0; }  // one scalar's bytes
int32_t double_in_place(void* const* b) {
  double* x = b[0];
  for (int i = 0; i < 6; ++i) x[i] *= 2;
  return 0;
}
int32_t two_in_place(void* const* b) {
  double *x = b[0], *y = b[1];
  for (int i = 0; i < 6; ++i) x[i] += y[i];
  return 0;
}
int32_t nothing(void* const* b) { return 0; }
int32_t sum6(void* const* b) {
  const double* x = b[0]; double s = 0;
  for (int i = 0; i < 6; ++i) s += x[i];
  *(double*)b[1] = s;
  return 0;
}
int32_t workspace(void* const* b) {  // out = address of the workspace; the workspace is written
  memset(b[1], 1, 4096); *(uint64_t*)b[0] = (uint64_t)b[1]; return 0;
}
static int add_part(int task, Env* env, void* data) {
  int64_t n = ((int64_t*)data)[0]; float* out = ((float**)data)[1];
  int64_t begin = n * task / env->num_task, end = n * (task + 1) / env->num_task;
  for (int64_t i = begin; i < end; ++i) out[i] += 1;
  return 0;
}
int32_t parallel_ones(void* const* b) {  // float32[100000]
  void* data[2] = {(void*)100000, b[0]};
  memset(b[0], 0, 400000);
  return __TVMBackendParallelLaunch(add_part, data, 0);
}
static int count_task(int task, Env* env, void* data) {
  if (task == 0) *(int32_t*)data = env->num_task;
  return 0;
}
int32_t task_count(void* const* b) { return __TVMBackendParallelLaunch(count_task, b[0], 0); }
static int fail_task(int task, Env* env, void* data) { return task == 2 ? 9 : 0; }
int32_t parallel_fail(void* const* b) { return __TVMBackendParallelLaunch(fail_task, 0, 8); }
"""

// A driver for the tests: two cards that CUDA numbers the other way round than they sit.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cuInit(unsigned flags) { return getenv("FAKE_CUDA_INIT") ? 100 : 0; }

int cuDeviceGet(int* device, int ordinal) {
  *device = 10 + ordinal;
  return ordinal >= 0 && ordinal < 2 ? 0 : 101;
}

int cuDeviceGetPCIBusId(char* id, int size, int device) {
  snprintf(id, size, "0000:%s:00.0", device == 10 ? "41" : "01");
  return 0;
}

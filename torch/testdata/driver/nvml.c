// NVML for the tests: known figures, and the errors that FAKE_NVML asks for.
#include <stdlib.h>
#include <string.h>

enum { NOT_SUPPORTED = 3, NOT_FOUND = 6, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };

static int says(const char* what) {
  const char* text = getenv("FAKE_NVML");
  return text != NULL && strcmp(text, what) == 0;
}

typedef struct {
  int utilization, celsius, milliwatts, gigabytes;
} card;
static card low = {20, 45, 65500, 3}, high = {97, 71, 320000, 60};

static int lost(void) { return says("lost") ? GPU_IS_LOST : 0; }

int nvmlInit_v2(void) { return says("not loaded") ? DRIVER_NOT_LOADED : 0; }

int nvmlDeviceGetHandleByPciBusId_v2(const char* id, card** device) {
  *device = strcmp(id, "0000:01:00.0") == 0 ? &low : &high;
  return says("unknown card") ? NOT_FOUND : 0;
}

int nvmlDeviceGetUtilizationRates(card* device, unsigned* rates) {
  rates[0] = device->utilization;
  rates[1] = 1;
  return lost();
}

int nvmlDeviceGetTemperature(card* device, unsigned sensor, unsigned* celsius) {
  *celsius = sensor == 0 ? device->celsius : 0;
  return lost();
}

int nvmlDeviceGetPowerUsage(card* device, unsigned* milliwatts) {
  *milliwatts = device->milliwatts;
  return says("no power") ? NOT_SUPPORTED : lost();
}

#ifndef OLD  // a driver that lacks a function
int nvmlDeviceGetMemoryInfo(card* device, unsigned long long* memory) {
  memory[0] = 80ull << 30;
  memory[1] = (80ull - device->gigabytes) << 30;
  memory[2] = (unsigned long long)device->gigabytes << 30;
  return lost();
}
#endif

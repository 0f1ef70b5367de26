// A card's own figures from NVML, which comes with the NVIDIA driver: opened where it is, never linked. The declarations are
// nvml.h's and cuda.h's, which NVIDIA keeps as they are from driver to driver.
#include "guard.h"

#include <dlfcn.h>

#include <cstring>
#include <string>

namespace {

struct Utilization {
  unsigned gpu, memory;  // percent
};

struct Memory {
  unsigned long long total, free, used;  // bytes
};

constexpr unsigned temperature_gpu = 0;  // NVML_TEMPERATURE_GPU

struct Library {
  int (*init)() = nullptr;
  int (*by_bus_id)(const char*, void**) = nullptr;
  int (*utilization)(void*, Utilization*) = nullptr;
  int (*temperature)(void*, unsigned, unsigned*) = nullptr;
  int (*power)(void*, unsigned*) = nullptr;  // milliwatts
  int (*memory)(void*, Memory*) = nullptr;
  std::string problem;
};

template <typename F>
bool find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  return function != nullptr;
}

Library open_library() {
  Library l;
  void* handle = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    l.problem = "no NVML (libnvidia-ml.so.1 is not installed)";
  } else if (!find(handle, "nvmlInit_v2", l.init) || !find(handle, "nvmlDeviceGetHandleByPciBusId_v2", l.by_bus_id)) {
    l.problem = "libnvidia-ml.so.1 is not NVML";
  } else if (int e = l.init()) {
    l.problem = "NVML does not start (error " + std::to_string(e) + ")";
  } else {
    find(handle, "nvmlDeviceGetUtilizationRates", l.utilization);
    find(handle, "nvmlDeviceGetTemperature", l.temperature);
    find(handle, "nvmlDeviceGetPowerUsage", l.power);
    find(handle, "nvmlDeviceGetMemoryInfo", l.memory);
  }
  return l;
}

const Library& library() {
  static const Library l = open_library();
  return l;
}

// CUDA numbers the cards as CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER say, NVML as they sit: the bus id is the same in both.
std::string bus_id(int index, char* id, int size) {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  int (*init)(unsigned) = nullptr;
  int (*get)(int*, int) = nullptr;
  int (*name)(char*, int, int) = nullptr;
  if (driver == nullptr) return "no NVIDIA driver (libcuda.so.1 is not installed)";
  if (!find(driver, "cuInit", init) || !find(driver, "cuDeviceGet", get) || !find(driver, "cuDeviceGetPCIBusId", name))
    return "libcuda.so.1 is not an NVIDIA driver";
  int device = 0;
  if (int e = init(0)) return "the NVIDIA driver does not start (cuInit: error " + std::to_string(e) + ")";
  if (int e = get(&device, index)) return "there is no cuda:" + std::to_string(index) + " (error " + std::to_string(e) + ")";
  if (int e = name(id, size, device)) return "the card's bus id is not known (error " + std::to_string(e) + ")";
  return "";
}

std::string open_card(int index, void** card) {
  char id[64] = "";
  if (!library().problem.empty()) return library().problem;
  std::string problem = bus_id(index, id, sizeof id);
  if (!problem.empty()) return problem;
  if (int e = library().by_bus_id(id, card)) return "NVML does not know the card " + std::string(id) + " (error " + std::to_string(e) + ")";
  return "";
}

// What the card does not support, or no longer says because it fell off the bus, stays -1.
void read_card(void* card, ft_card* out) {
  const Library& l = library();
  Utilization used{};
  Memory memory{};
  unsigned celsius = 0, milliwatts = 0;
  *out = {-1, -1, -1, -1};
  if (l.utilization && l.utilization(card, &used) == 0) out->utilization = used.gpu;
  if (l.temperature && l.temperature(card, temperature_gpu, &celsius) == 0) out->celsius = celsius;
  if (l.power && l.power(card, &milliwatts) == 0) out->milliwatts = milliwatts;
  if (l.memory && l.memory(card, &memory) == 0) out->memory_used = static_cast<int64_t>(memory.used);
}

}  // namespace

const char* ft_card_open(int8_t index, void** card, char** why) {
  FT_GUARD(*why = strdup(open_card(index, card).c_str()))
}

const char* ft_card_bus_id(int8_t index, char** id, char** why) {
  FT_GUARD(char text[64] = ""; *why = strdup(bus_id(index, text, sizeof text).c_str()); *id = strdup(text))
}

const char* ft_card_read(void* card, ft_card* out) { FT_GUARD(read_card(card, out)) }

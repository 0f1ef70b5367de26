// A driver, CUDA's runtime and NCCL for the tests, to be loaded before theirs: one card whose memory is the host's and whose events are
// done when asked for the third time. NCCL says what it is called for, and has the errors that FAKE_NCCL asks for.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOT_READY = 600, SYSTEM_ERROR = 2, REMOTE_ERROR = 6 };

static int says(const char* what) {
  const char* text = getenv("FAKE_NCCL");
  return text != NULL && strcmp(text, what) == 0;
}

int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int* n) { return *n = 1, 0; }
int cuDriverGetVersion(int* version) { return *version = 13000, 0; }
int cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* active) { return *flags = 0, *active = 1, 0; }

int cudaGetDeviceCount(int* n) { return *n = 1, 0; }
int cudaGetDevice(int* device) { return *device = 0, 0; }
int cudaSetDevice(int device) { return 0; }
int cudaGetDeviceProperties(void* properties, int device) { return memset(properties, 0, 512), 0; }  // the names and limits that it begins with
int cudaGetLastError(void) { return 0; }
int cudaMalloc(void** p, size_t n) { return (*p = aligned_alloc(512, (n + 511) / 512 * 512)) == NULL; }
int cudaFree(void* p) { return free(p), 0; }
int cudaMemcpyAsync(void* to, const void* from, size_t n, int kind, void* stream) { return memcpy(to, from, n), 0; }
int cudaDeviceGetStreamPriorityRange(int* least, int* greatest) { return *least = 0, *greatest = -1, 0; }
int cudaStreamCreateWithPriority(void** stream, unsigned flags, int priority) { return *stream = malloc(1), 0; }
int cudaStreamIsCapturing(void* stream, int* status) { return *status = 0, 0; }
int cudaStreamSynchronize(void* stream) { return 0; }
int cudaStreamWaitEvent(void* stream, void* event, unsigned flags) { return 0; }
int cudaDeviceSynchronize(void) { return 0; }
int cudaEventCreateWithFlags(int** event, unsigned flags) { return (*event = calloc(1, sizeof **event)) == NULL; }
int cudaEventDestroy(int* event) { return free(event), 0; }
int cudaEventRecord(int* event, void* stream) { return *event = 0; }
int cudaEventRecordWithFlags(int* event, void* stream, unsigned flags) { return *event = 0; }
int cudaEventQuery(int* event) { return ++*event < 3 ? NOT_READY : 0; }

typedef struct {
  char bytes[128];
} unique_id;
typedef struct {
  size_t size;
  unsigned magic;
} config;

int ncclGetVersion(int* version) { return *version = 22809, 0; }
int ncclGetUniqueId(unique_id* id) { return memset(id, 7, sizeof *id), 0; }
int ncclCommInitRankConfig(void** comm, int size, unique_id id, int rank, config* c) {
  dprintf(1, "rank %d of %d, id %d, settings of %zu bytes, %x\n", rank, size, id.bytes[127], c->size, c->magic);
  *comm = malloc(1);
  return says("unreachable") ? SYSTEM_ERROR : 0;
}
int ncclAllReduce(const void* from, void* to, size_t n, int type, int operation, void* comm, void* stream) {
  dprintf(1, "sum of %zu of type %d\n", n, type);
  return says("refused") ? SYSTEM_ERROR : from != to || operation != 0;
}
int ncclBcast(void* p, size_t n, int type, int root, void* comm, void* stream) {
  dprintf(1, "%zu of type %d from rank %d\n", n, type, root);
  return 0;
}
int ncclCommGetAsyncError(void* comm, int* error) { return *error = says("lost") ? REMOTE_ERROR : 0, 0; }
int ncclCommFinalize(void* comm) { return dprintf(1, "finalize\n"), 0; }
int ncclCommDestroy(void* comm) { return dprintf(1, "destroy\n"), 0; }
int ncclCommAbort(void* comm) { return comm != NULL ? dprintf(1, "abort\n"), 0 : 0; }  // of none is allowed
int ncclGroupStart(void) { return 0; }
int ncclGroupEnd(void) { return 0; }
const char* ncclGetErrorString(int error) { return "an error"; }
const char* ncclGetLastError(void* comm) { return "nothing"; }

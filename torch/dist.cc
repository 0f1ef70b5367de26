// Processes that compute together, by c10d: the store in which they find each other, and what they do with tensors of all. Collectives
// run on threads of c10d's own; a Work says when one is done.
#define USE_C10D_GLOO
#include "guard.h"

#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <cstdlib>
#include <cstring>
#include <thread>

using namespace ft;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

using Store = c10::intrusive_ptr<c10d::Store>;
using Group = c10::intrusive_ptr<c10d::Backend>;
using Work = c10::intrusive_ptr<c10d::Work>;

Store& store(void* p) { return *static_cast<Store*>(p); }
Group& group(void* p) { return *static_cast<Group*>(p); }
Work& work(void* p) { return *static_cast<Work*>(p); }

}  // namespace

const char* ft_store_new(const char* host, int port, int listening, int64_t timeout_ms, void** out) {
  FT_GUARD({
    // What fails is thrown; c10d would also write it to stderr, with its stack.
    if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) FLAGS_caffe2_log_level = c10::GLOG_FATAL;
    c10d::TCPStoreOptions o;
    o.port = static_cast<uint16_t>(port);
    o.waitWorkers = false;
    o.timeout = milliseconds(timeout_ms);
    if (listening >= 0) {
      o.isServer = true;
      o.masterListenFd = listening;
    }
    *out = new Store(c10::make_intrusive<c10d::TCPStore>(host, o));
  })
}

const char* ft_store_prefix(void* s, const char* prefix, void** out) { FT_GUARD(*out = new Store(c10::make_intrusive<c10d::PrefixStore>(prefix, store(s)))) }

const char* ft_store_free(void* s) { FT_GUARD(delete &store(s)) }

const char* ft_store_set(void* s, const char* key, const char* value, size_t n) { FT_GUARD(store(s)->set(key, std::vector<uint8_t>(value, value + n))) }

const char* ft_store_get(void* s, const char* key, int64_t timeout_ms, char** value, size_t* n) {
  FT_GUARD({
    store(s)->wait({key}, milliseconds(timeout_ms));
    auto bytes = store(s)->get(key);
    *value = static_cast<char*>(std::malloc(bytes.size() + 1));
    if (*value == nullptr) throw std::bad_alloc();
    std::memcpy(*value, bytes.data(), bytes.size());
    *n = bytes.size();
  })
}

const char* ft_store_add(void* s, const char* key, int64_t by, int64_t* out) { FT_GUARD(*out = store(s)->add(key, by)) }

const char* ft_store_check(void* s, const char* key, int* out) { FT_GUARD(*out = store(s)->check({key})) }

const char* ft_group_gloo(void* s, int rank, int size, const char* address, int64_t timeout_ms, void** out) {
  FT_GUARD({
    auto o = c10d::ProcessGroupGloo::Options::create(milliseconds(timeout_ms));
    o->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(address));
    *out = new Group(c10::make_intrusive<c10d::ProcessGroupGloo>(store(s), rank, size, o));
  })
}

const char* ft_group_free(void* g) { FT_GUARD(delete &group(g)) }

const char* ft_group_all_reduce(void* g, ft_tensor t, void** out) {
  FT_GUARD(std::vector<at::Tensor> tensors{get(t)}; *out = new Work(group(g)->allreduce(tensors)))
}

const char* ft_group_broadcast(void* g, ft_tensor t, int root, void** out) {
  FT_GUARD({
    std::vector<at::Tensor> tensors{get(t)};
    c10d::BroadcastOptions o;
    o.rootRank = root;
    *out = new Work(group(g)->broadcast(tensors, o));
  })
}

const char* ft_group_send(void* g, ft_tensor t, int to, void** out) {
  FT_GUARD(std::vector<at::Tensor> tensors{get(t)}; *out = new Work(group(g)->send(tensors, to, 0)))
}

const char* ft_group_receive(void* g, ft_tensor t, int from, void** out) {
  FT_GUARD(std::vector<at::Tensor> tensors{get(t)}; *out = new Work(group(g)->recv(tensors, from, 0)))
}

// c10d's own wait would make a failure of a timeout that is only this caller's; but what is sent or received from process to process
// is only ever done in it (timeout_ms < 0).
const char* ft_work_wait(void* w, int64_t timeout_ms, int* done) {
  FT_GUARD({
    if (timeout_ms < 0) {
      work(w)->wait();
      *done = 1;
      return nullptr;
    }
    auto deadline = steady_clock::now() + milliseconds(timeout_ms);
    auto pause = std::chrono::microseconds(10);
    while (!work(w)->isCompleted()) {
      if (steady_clock::now() >= deadline) {
        *done = 0;
        return nullptr;
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(2 * pause, std::chrono::microseconds(320));
    }
    *done = 1;
    work(w)->wait();  // throws what made it fail
  })
}

const char* ft_work_free(void* w) { FT_GUARD(delete &work(w)) }

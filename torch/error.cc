// Exceptions become text here: one kind byte ('s' shape, 'm' out of memory, 'd' device, 'o' other), then libtorch's message.
#include "guard.h"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <new>
#include <string_view>

namespace {

bool with_stacks = false;

bool contains(std::string_view text, std::initializer_list<const char*> words) {
  for (const char* w : words)
    if (text.find(w) != std::string_view::npos) return true;
  return false;
}

// libtorch has no class for most of what goes wrong, so its wording decides.
char kind_of(std::string_view text) {
  if (contains(text, {"out of memory", "can't allocate memory", "not enough memory", "std::bad_alloc"})) return 'm';
  if (contains(text, {"CUDA error", "CUDA driver", "cuBLAS", "CUBLAS", "cuDNN", "Expected all tensors to be on the same device",
                      "Cannot access accelerator device", "No CUDA GPUs", "with CUDA", "'CUDA' backend", "PyTorch is not linked with support for",
                      "invalid device", "device-side assert"}))
    return 'd';
  if (contains(text, {"size", "shape", "dimension", "Dimension", "out of range", "must match", "must have same", "broadcast", "dim "}))
    return 's';
  return 'o';
}

// What is said when there is no memory left to say more.
const char no_memory[] = "mthe host is out of memory";

const char* copy(char kind, std::string_view text) {
  auto* out = static_cast<char*>(std::malloc(text.size() + 2));
  if (out == nullptr) return no_memory;
  out[0] = kind;
  std::memcpy(out + 1, text.data(), text.size());
  out[text.size() + 1] = 0;
  return out;
}

const char* describe() {
  try {
    throw;
  } catch (const c10::OutOfMemoryError& e) {
    return copy('m', with_stacks ? e.what() : e.what_without_backtrace());
  } catch (const c10::Error& e) {
    return copy(kind_of(e.what_without_backtrace()), with_stacks ? e.what() : e.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return no_memory;
  } catch (const std::exception& e) {
    return copy(kind_of(e.what()), e.what());
  } catch (...) {
    return copy('o', "an unknown C++ exception");
  }
}

}  // namespace

const char* ft::describe_exception() noexcept {
  try {
    return describe();
  } catch (...) {
    return no_memory;  // composing the message failed
  }
}

void ft_error_free(const char* message) {
  if (message != no_memory) std::free(const_cast<char*>(message));
}

void ft_error_stacks(int on) { with_stacks = on != 0; }

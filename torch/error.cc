// Exceptions become text here: one kind byte ('s' shape, 'm' out of memory, 'd' device, 'o' other), then libtorch's message.
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "guard.h"

namespace {

bool with_stacks = false;

bool contains(const std::string& text, std::initializer_list<const char*> words) {
  for (const char* w : words)
    if (text.find(w) != std::string::npos) return true;
  return false;
}

// libtorch has no class for most of what goes wrong, so its wording decides.
char kind_of(const std::string& text) {
  if (contains(text, {"out of memory", "can't allocate memory", "not enough memory", "std::bad_alloc"})) return 'm';
  if (contains(text, {"CUDA error", "CUDA driver", "cuBLAS", "CUBLAS", "cuDNN", "Expected all tensors to be on the same device",
                      "Cannot access accelerator device", "No CUDA GPUs", "with CUDA", "invalid device", "device-side assert"}))
    return 'd';
  if (contains(text, {"size", "shape", "dimension", "Dimension", "out of range", "must match", "must have same", "broadcast", "dim "}))
    return 's';
  return 'o';
}

const char* copy(char kind, const std::string& text) {
  auto* out = static_cast<char*>(std::malloc(text.size() + 2));
  if (out == nullptr) std::abort();  // no memory left to say so
  out[0] = kind;
  std::memcpy(out + 1, text.c_str(), text.size() + 1);
  return out;
}

}  // namespace

const char* ft::describe_exception() noexcept {
  try {
    throw;
  } catch (const c10::OutOfMemoryError& e) {
    return copy('m', with_stacks ? e.what() : e.what_without_backtrace());
  } catch (const c10::Error& e) {
    std::string text = e.what_without_backtrace();
    return copy(kind_of(text), with_stacks ? e.what() : text);
  } catch (const std::bad_alloc& e) {
    return copy('m', "the host is out of memory");
  } catch (const std::exception& e) {
    return copy(kind_of(e.what()), e.what());
  } catch (...) {
    return copy('o', "an unknown C++ exception");
  }
}

void ft_error_stacks(int on) { with_stacks = on != 0; }

#pragma once
#include <chrono>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);  // called by an inline function of c10d's that nobody here calls
};

namespace transport {
class UnboundBuffer {
 public:
  virtual ~UnboundBuffer();  // a std::unique_ptr of c10d's wants the type whole
};
}  // namespace transport

}  // namespace gloo

// The part of libtorch that is opened at run time.
#pragma once

#include <string>

namespace ft {

// Opens libtorch_cuda.so in the directory that libtorch_cpu.so was loaded from, once and for all. Says why it cannot; "" when it is open.
std::string open_cuda_library();

}  // namespace ft

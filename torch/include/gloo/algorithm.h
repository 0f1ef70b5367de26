// What c10d's ProcessGroupGloo.hpp needs of gloo, whose headers the libtorch wheel lacks: names alone. The program itself calls c10d,
// and gloo's code is inside libtorch. Written for libtorch 2.11.0, the only version that guard.h lets through.
#pragma once

namespace gloo {
class Algorithm;
}

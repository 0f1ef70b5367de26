module frugal/bench/gotorch

go 1.26.0

require (
	frugal v0.0.0
	github.com/wangkuiyi/gotorch v0.0.0-20201028015551-9afed2f3ad7b
)

require golang.org/x/sys v0.49.0 // indirect

replace frugal => ../..

// A copy with its C++ part built for libtorch 2.11: ./build.sh makes it.
replace github.com/wangkuiyi/gotorch => ./build/gotorch

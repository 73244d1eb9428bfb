/// The one header that names xtensor's header paths.
///
/// xtensor 0.26 moved every header into a folder; up to 0.25 they lay side by side. All other
/// files include this one, so that a further move is a change in one place.
#pragma once

#ifdef __FAST_MATH__
#error "xgrad needs IEEE arithmetic: under -ffast-math tanh(88) is NaN and NaN does not propagate"
#endif

// g++ 12 reports the deliberately undefined registers of its own AVX-512 headers, which xtensor
// brings in through xsimd, and imagines negative sizes once it has inlined xtensor's containers.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Warray-bounds"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#if __has_include(<xtensor/containers/xarray.hpp>)
// Folders, 0.26 and later.
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/containers/xarray.hpp>
#include <xtensor/containers/xtensor.hpp>
#include <xtensor/core/xmath.hpp>
#include <xtensor/core/xnoalias.hpp>
#include <xtensor/generators/xbuilder.hpp>
#include <xtensor/views/xstrided_view.hpp>
#include <xtensor/views/xview.hpp>
#else
// Flat, up to 0.25.
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xbuilder.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xnoalias.hpp>
#include <xtensor/xstrided_view.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#if XTENSOR_VERSION_MAJOR == 0 && XTENSOR_VERSION_MINOR < 26
namespace xt::detail {

/// The array that expressions of a shape evaluate to. Up to 0.25 xtensor has this case for C++17
/// alone: with g++ in C++20 the svector<N, 4> of an xarray matched that of std::array<N, 4>, so
/// that `xt::eval(a * 2)` was a tensor of four axes, whatever a was.
template <template <class, std::size_t, class, bool> class S, class X, std::size_t N, class A,
          bool init>
struct xtype_for_shape<S<X, N, A, init>> {
  template <class T, layout_type layout>
  using type = xarray<T, layout>;
};

}  // namespace xt::detail
#endif

#pragma once

#include <string>

#include "problem.hpp"

/// What each library contributes. A library that is not built in gives null and an empty version.
namespace peers {

ContenderPtr xgrad_network(const Network& network, Work work);
ContenderPtr torch_network(const Network& network, Work work);
ContenderPtr onednn_network(const Network& network, Work work);

ContenderPtr xgrad_product(const Product& product);
ContenderPtr openblas_product(const Product& product);
ContenderPtr onednn_product(const Product& product);

/// y = ((((a b + a) 2 - b) a + 1) b - 3 for arrays of `size` numbers: eight operations.
ContenderPtr xgrad_chain(int size, bool gradient);
ContenderPtr torch_chain(int size, bool gradient);

/// x + y + ... + y: `nodes` sums of arrays of 4 numbers, one after the other.
ContenderPtr xgrad_sums(int nodes);
ContenderPtr torch_sums(int nodes, bool recorded);

std::string torch_version();
std::string onednn_version();  ///< and the instruction set that it found
std::string openblas_version();
std::string xgrad_isa();

/// The number of threads for what follows. To be called before each slice of time: OpenBLAS and
/// OpenMP have one setting for the whole process.
void use_xgrad_threads(int n);
void use_torch_threads(int n);
void use_onednn_threads(int n);
void use_openblas_threads(int n);

}  // namespace peers

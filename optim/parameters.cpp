#include <string>
#include <unordered_set>

#include <xgrad/core/error.hpp>
#include <xgrad/core/runtime/pool.hpp>
#include <xgrad/optim/parameters.hpp>

namespace xgrad::detail {

PoolVector<Var> unique_parameters(const char* caller, const std::vector<Var>& parameters) {
  PoolVector<Var> unique;
  std::unordered_set<const Parameter*, std::hash<const Parameter*>, std::equal_to<>,
                     PoolAllocator<const Parameter*>>
      seen;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!parameters[i].is_parameter()) {
      throw Error(std::string(caller) + ": parameters[" + std::to_string(i) +
                  "] is not a parameter");
    }
    if (seen.insert(parameters[i].parameter_or_null()).second) unique.push_back(parameters[i]);
  }
  return unique;
}

}  // namespace xgrad::detail

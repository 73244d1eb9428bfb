#pragma once

#include <ostream>

#include <nlohmann/json.hpp>

#include "summary.hpp"

namespace peers {

void print_machine(std::ostream& out, const nlohmann::ordered_json& machine, const Effort& effort);
void print_row(std::ostream& out, const Measured& measured);

nlohmann::ordered_json describe(const Measured& measured);
nlohmann::ordered_json describe(const std::vector<Goal>& goals);

}  // namespace peers

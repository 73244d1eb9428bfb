#pragma once

#include <iosfwd>

#include <xgrad/core/tape.hpp>

namespace xgrad {

/// Draws what the tape holds as a graph in Graphviz's DOT language: parameters, constants and nodes
/// with shapes and the ranges of their values, an edge for each input (with the view's shape if it
/// reads a view), fused expressions as formulas over the letters at their edges. If a
/// FlightRecorder watches the tape, scopes are clusters and the parameters have the names it knows.
///
///     std::ofstream file("graph.dot");
///     write_dot(file, tape);            // dot -Tsvg graph.dot > graph.svg
///
/// To be called before the backward pass (or after one with `retain`), which gives the values back;
/// after a NonFiniteError in the forward pass the last node is the one that failed.
void write_dot(std::ostream& out, const Tape& tape);

}  // namespace xgrad

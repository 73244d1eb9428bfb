#include "rows.hpp"

#include <sstream>

#include "compile_time.hpp"
#include "libraries.hpp"

namespace peers {
namespace {

constexpr int nodes = 1000;
constexpr Product fast_product{64, 512, 2048};  // among the fastest shapes

Row network_row(const Network& network, Work work, int threads) {
  const auto& [cell, T, B, I, H, layers] = network;
  Row row;
  row.name = name_of(cell);
  if (work != Work::training) {
    row.name += ' ';
    row.name += name_of(work);
  }
  row.extents = {{"T", T}, {"B", B}, {"I", I}, {"H", H}, {"layers", layers}};
  row.threads = threads;
  row.candidates = {{"xgrad", use_xgrad_threads, [=] { return xgrad_network(network, work); }},
                    {"libtorch", use_torch_threads, [=] { return torch_network(network, work); }},
                    {"onednn", use_onednn_threads, [=] { return onednn_network(network, work); }}};
  row.is_training = work == Work::training;
  // What the summary compares with is timed in the same alternations, not minutes away.
  if (row.is_training && layers == 1 && H >= 128) {
    const Network lstm{Cell::lstm, T, B, I, H};
    if (cell != Cell::lstm && threads == 1) {
      row.candidates.push_back(
          {"xgrad_lstm", use_xgrad_threads, [=] { return xgrad_network(lstm, work); }, true});
      row.lstm_flops = lstm.flops(work);
    } else if (cell == Cell::lstm && threads > 1) {
      row.candidates.push_back({"xgrad_one_thread", [](int) { use_xgrad_threads(1); },
                                [=] { return xgrad_network(network, work); }});
    } else if (cell == Cell::lstm && H >= 256) {
      row.candidates.push_back(
          {"xgrad_product", use_xgrad_threads, [] { return xgrad_product(fast_product); }, true});
      row.product_flops = fast_product.flops();
    }
  }
  if (B > 1) row.flops = network.flops(work);  // products with a vector are limited by memory
  row.measures_memory =
      row.is_training && cell == Cell::lstm && layers == 1 && H >= 256 && threads == 1;
  return row;
}

Row product_row(const Product& product, int threads) {
  Row row;
  row.name = "product";
  row.extents = {{"M", product.rows},
                 {"K", product.depth},
                 {"N", product.cols},
                 {"a_transposed", product.a_transposed},
                 {"b_transposed", product.b_transposed}};
  row.threads = threads;
  row.flops = product.flops();
  row.candidates = {{"xgrad", use_xgrad_threads, [=] { return xgrad_product(product); }},
                    {"onednn", use_onednn_threads, [=] { return onednn_product(product); }},
                    {"openblas", use_openblas_threads, [=] { return openblas_product(product); }}};
  return row;
}

void add_products(std::vector<Row>& rows, int threads) {
  for (const auto& [T, B, I, H] : training_shapes) {
    rows.push_back(product_row({B, H, 4 * H}, threads));                   // a step
    rows.push_back(product_row({B, 4 * H, H, false, true}, threads));      // back
    rows.push_back(product_row({T * B, I, 4 * H}, threads));               // all steps at once
    rows.push_back(product_row({H, T * B, 4 * H, true, false}, threads));  // gradient of weights
  }
  rows.push_back(product_row({1, 256, 1024}, threads));
}

void add_networks(std::vector<Row>& rows, int threads) {
  for (const Cell cell : {Cell::lstm, Cell::gru, Cell::peephole, Cell::layernorm, Cell::rnn}) {
    for (const auto& [T, B, I, H] : training_shapes) {
      rows.push_back(network_row({cell, T, B, I, H}, Work::training, threads));
    }
    rows.push_back(network_row({cell, 64, 32, 256, 256, 2}, Work::training, threads));
  }
  for (const Work work : {Work::forward, Work::gradient}) {
    rows.push_back(network_row({Cell::lstm, 50, 32, 64, 64}, work, threads));
    rows.push_back(network_row({Cell::lstm, 64, 32, 256, 256}, work, threads));
  }
  rows.push_back(network_row({Cell::lstm, 50, 1, 10, 50}, Work::inference, threads));
  rows.push_back(network_row({Cell::lstm, 64, 1, 256, 256}, Work::inference, threads));
  rows.push_back(network_row({Cell::lstm, 1, 1, 256, 256, 2}, Work::generation, threads));
}

void add_chains(std::vector<Row>& rows, int threads) {
  for (const bool gradient : {false, true}) {
    for (const int size : {1 << 12, 1 << 16, 1 << 20}) {
      rows.push_back(
          {gradient ? "chain gradient" : "chain",
           {{"size", size}},
           threads,
           {{"xgrad", use_xgrad_threads, [=] { return xgrad_chain(size, gradient); }},
            {"libtorch", use_torch_threads, [=] { return torch_chain(size, gradient); }}}});
    }
  }
}

}  // namespace

int Row::extent(const std::string& wanted) const {
  for (const auto& [key, value] : extents) {
    if (key == wanted) return value;
  }
  return -1;
}

std::string Row::label() const {
  std::ostringstream text;
  text << name;
  for (const auto& [key, value] : extents) {
    if (key == "a_transposed" || key == "b_transposed") {
      if (value) text << ' ' << key[0] << "^T";
    } else if (key != "layers" || value > 1) {
      text << ' ' << key << '=' << value;
    }
  }
  text << ", " << threads << (threads == 1 ? " thread" : " threads");
  return text.str();
}

std::vector<Row> all_rows(int most_threads) {
  std::vector<Row> rows;
  const std::vector<int> thread_counts = most_threads > 1 ? std::vector{1, 2} : std::vector{1};
  for (const int threads : thread_counts) add_products(rows, threads);
  for (const int threads : thread_counts) add_networks(rows, threads);
  for (const int threads : thread_counts) add_chains(rows, threads);
  rows.push_back(
      {"sums",
       {{"nodes", nodes}},
       1,
       {{"xgrad", use_xgrad_threads, [] { return xgrad_sums(nodes); }},
        {"libtorch", use_torch_threads, [] { return torch_sums(nodes, true); }},
        {"libtorch_unrecorded", use_torch_threads, [] { return torch_sums(nodes, false); }}}});
  Row compile{"compile",
              {},
              1,
              {{"xgrad", use_xgrad_threads, [] { return compilation("user_of_xgrad.cpp"); }},
               {"libtorch", use_torch_threads, [] { return compilation("user_of_torch.cpp"); }}}};
  compile.is_slow = true;
  rows.push_back(compile);
  return rows;
}

}  // namespace peers

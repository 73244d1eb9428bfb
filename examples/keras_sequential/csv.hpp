#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace keras_sequential {

/// A table of text with names for its columns.
struct Csv {
  struct Row {
    std::vector<std::string> cells;
    std::size_t line;  ///< where it begins in the file, counted from 1
  };
  std::vector<std::string> columns;
  std::vector<Row> rows;  ///< each with as many cells as there are columns
};

/// Reads comma-separated values (RFC 4180): the first line names the columns; cells may be quoted;
/// lines end with LF or CRLF, the last one perhaps with neither. Throws, naming the file and the
/// line, if it cannot be read or a row has not as many cells as the first line.
Csv read_csv(const std::filesystem::path& path);

/// "row 17 (line 18)", counting rows from 1.
std::string place(const Csv& csv, std::size_t row);

}  // namespace keras_sequential

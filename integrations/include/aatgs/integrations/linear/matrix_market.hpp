// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/linear/csr_matrix.hpp>
#include <filesystem>
#include <iosfwd>
#include <string>

namespace aatgs::linear {

/// Most that the reader accepts; lower them for files from strangers. It needs at most 24 bytes for
/// each row and column that the header declares and 128 for each entry that is listed.
struct MatrixLimits {
  std::size_t size = max_matrix_size;              ///< rows, and columns; at most `max_matrix_size`
  std::uint64_t entries = std::uint64_t{1} << 32;  ///< as the header counts them
};

/// Reads a matrix in the Matrix Market coordinate format (Boisvert, Pozo & Remington, "The Matrix
/// Market exchange formats", NISTIR 5935, 1996):
///
///     %%MatrixMarket matrix coordinate real symmetric     (real or integer; general or symmetric)
///     % a comment
///     ROWS COLUMNS ENTRIES
///     ROW COLUMN VALUE       ENTRIES times, 1-based; symmetric: on and below the diagonal only
///
/// Capitals in the first line, blank lines, comments between entries, blanks around words and CRLF
/// line ends are accepted. All else is an InputError `FILE:LINE: reason`, LINE being 0 where the
/// file as a whole is meant: no such file, nothing in it, other kinds of matrices (array, pattern,
/// complex, skew-symmetric, hermitian), missing, extra or unreadable words, an index outside the
/// matrix, a size or count over `limits`, an entry twice or above the diagonal of a symmetric
/// matrix, a value that is not finite or does not fit float64, and fewer or more entries than
/// declared.
CsrMatrix read_matrix_market(const std::filesystem::path& path, const MatrixLimits& limits = {});

/// The same from a stream; messages call it `name`.
CsrMatrix read_matrix_market(std::istream& in, const std::string& name,
                             const MatrixLimits& limits = {});

}  // namespace aatgs::linear

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/linear/csr_matrix.hpp>

namespace aatgs::linear {

/// L (its unit diagonal stored) and U with L U equal to A wherever A has an entry.
struct IncompleteFactors {
  CsrMatrix lower;
  CsrMatrix upper;
};

/// The incomplete LU factors of a square matrix that have entries where it has them, ILU(0)
/// (Meijerink & van der Vorst, Math. Comp. 31, 1977), by rows on one thread of the host. Throws
/// `InputError` if the matrix is not square, lacks an entry of its diagonal, or a pivot becomes 0
/// or leaves float64; it names the row.
IncompleteFactors incomplete_lu(const CsrMatrix& matrix);

}  // namespace aatgs::linear

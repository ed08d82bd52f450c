"""The public functions, for arrays and Tensors alike: PyTorch's names, order and defaults.

NumPy array in, NumPy array out; Tensor in, Tensor out, with gradients.
"""

from tilewright.functional.conv import *  # noqa: F403
from tilewright.functional.conv import __all__ as _conv
from tilewright.functional.explaining import *  # noqa: F403
from tilewright.functional.explaining import __all__ as _explaining
from tilewright.functional.pool import *  # noqa: F403
from tilewright.functional.pool import __all__ as _pool

__all__: list[str] = []
__all__ += _conv + _explaining + _pool

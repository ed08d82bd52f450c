"""The public functions, for arrays and Tensors alike: PyTorch's names, order and defaults.

NumPy array in, NumPy array out; Tensor in, Tensor out, with gradients.
"""

from tilewright.functional.activations import *  # noqa: F403
from tilewright.functional.activations import __all__ as _activations
from tilewright.functional.conv import *  # noqa: F403
from tilewright.functional.conv import __all__ as _conv
from tilewright.functional.dense import *  # noqa: F403
from tilewright.functional.dense import __all__ as _dense
from tilewright.functional.dropping import *  # noqa: F403
from tilewright.functional.dropping import __all__ as _dropping
from tilewright.functional.explaining import *  # noqa: F403
from tilewright.functional.explaining import __all__ as _explaining
from tilewright.functional.losses import *  # noqa: F403
from tilewright.functional.losses import __all__ as _losses
from tilewright.functional.norms import *  # noqa: F403
from tilewright.functional.norms import __all__ as _norms
from tilewright.functional.padding import *  # noqa: F403
from tilewright.functional.padding import __all__ as _padding
from tilewright.functional.pool import *  # noqa: F403
from tilewright.functional.pool import __all__ as _pool

__all__: list[str] = []
__all__ += _activations + _conv + _dense + _dropping + _explaining + _losses + _norms + _padding + _pool

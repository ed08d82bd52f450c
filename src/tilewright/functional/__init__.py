"""The public functions, for arrays and Tensors alike: PyTorch's names, order and defaults.

NumPy array in, NumPy array out; Tensor in, Tensor out, with gradients.
"""

from tilewright.functional.activations import *  # noqa: F403
from tilewright.functional.activations import __all__ as _activations
from tilewright.functional.activations_piecewise import *  # noqa: F403
from tilewright.functional.activations_piecewise import __all__ as _activations_piecewise
from tilewright.functional.activations_smooth import *  # noqa: F403
from tilewright.functional.activations_smooth import __all__ as _activations_smooth
from tilewright.functional.adaptive_pool import *  # noqa: F403
from tilewright.functional.adaptive_pool import __all__ as _adaptive_pool
from tilewright.functional.conv import *  # noqa: F403
from tilewright.functional.conv import __all__ as _conv
from tilewright.functional.conv_transpose import *  # noqa: F403
from tilewright.functional.conv_transpose import __all__ as _conv_transpose
from tilewright.functional.dense import *  # noqa: F403
from tilewright.functional.dense import __all__ as _dense
from tilewright.functional.distances import *  # noqa: F403
from tilewright.functional.distances import __all__ as _distances
from tilewright.functional.dropping import *  # noqa: F403
from tilewright.functional.dropping import __all__ as _dropping
from tilewright.functional.explaining import *  # noqa: F403
from tilewright.functional.explaining import __all__ as _explaining
from tilewright.functional.group_norms import *  # noqa: F403
from tilewright.functional.group_norms import __all__ as _group_norms
from tilewright.functional.losses import *  # noqa: F403
from tilewright.functional.losses import __all__ as _losses
from tilewright.functional.losses_imbalance import *  # noqa: F403
from tilewright.functional.losses_imbalance import __all__ as _losses_imbalance
from tilewright.functional.losses_likelihood import *  # noqa: F403
from tilewright.functional.losses_likelihood import __all__ as _losses_likelihood
from tilewright.functional.losses_margin import *  # noqa: F403
from tilewright.functional.losses_margin import __all__ as _losses_margin
from tilewright.functional.lp_pool import *  # noqa: F403
from tilewright.functional.lp_pool import __all__ as _lp_pool
from tilewright.functional.masking import *  # noqa: F403
from tilewright.functional.masking import __all__ as _masking
from tilewright.functional.norms import *  # noqa: F403
from tilewright.functional.norms import __all__ as _norms
from tilewright.functional.padding import *  # noqa: F403
from tilewright.functional.padding import __all__ as _padding
from tilewright.functional.pool import *  # noqa: F403
from tilewright.functional.pool import __all__ as _pool
from tilewright.functional.rearranging import *  # noqa: F403
from tilewright.functional.rearranging import __all__ as _rearranging
from tilewright.functional.resampling import *  # noqa: F403
from tilewright.functional.resampling import __all__ as _resampling
from tilewright.functional.separating import *  # noqa: F403
from tilewright.functional.separating import __all__ as _separating
from tilewright.functional.unpool import *  # noqa: F403
from tilewright.functional.unpool import __all__ as _unpool

__all__: list[str] = []
__all__ += _activations + _conv + _dense + _dropping + _explaining + _losses + _norms + _padding + _pool
__all__ += _activations_piecewise + _activations_smooth + _group_norms + _distances
__all__ += _losses_imbalance + _losses_likelihood + _losses_margin
__all__ += _rearranging + _resampling
__all__ += _adaptive_pool + _lp_pool + _unpool + _masking + _conv_transpose
__all__ += _separating

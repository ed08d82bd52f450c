"""The base of every module: registering, walking, state, modes, hooks, conversion, printing."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright import nn, optim
from tilewright.errors import ArgumentError, DtypeError, StateError, TilewrightError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.body = nn.Sequential(nn.BatchNorm2d(2), nn.ReLU())
        self.scale = nn.Parameter(tw.ones(1))
        self.register_buffer("offset", tw.zeros(2, 1, 1))
        self.register_buffer("scratch", tw.zeros(3), persistent=False)
        self.note = "plain"

    def forward(self, x: Any, shift: float = 0.0) -> Any:
        return self.body(self.conv(x)) * self.scale + self.offset + shift


PARAMETERS = ["scale", "conv.weight", "conv.bias", "body.0.weight", "body.0.bias"]
STATISTICS = ["body.0.running_mean", "body.0.running_var", "body.0.num_batches_tracked"]


def test_attributes_are_registered_by_kind() -> None:
    net = Net()
    assert [name for name, _ in net.named_parameters()] == PARAMETERS
    assert [name for name, _ in net.named_parameters(recurse=False)] == ["scale"]
    assert [name for name, _ in net.named_parameters(prefix="net")][1] == "net.conv.weight"
    assert [id(p) for p in net.parameters()] == [id(p) for _, p in net.named_parameters()]
    assert [name for name, _ in net.named_buffers()] == ["offset", "scratch", *STATISTICS]
    assert len(list(net.buffers(recurse=False))) == 2
    assert [name for name, _ in net.named_children()] == ["conv", "body"]
    assert [type(m).__name__ for m in net.children()] == ["Conv2d", "Sequential"]
    assert [name for name, _ in net.named_modules()] == ["", "conv", "body", "body.0", "body.1"]
    assert len(list(net.modules())) == 5
    assert "note" not in net._buffers
    assert {"conv", "scale", "offset", "note"} <= set(dir(net))


def test_shared_members_are_given_once_and_saved_under_each_name() -> None:
    net = nn.Module()
    net.one = nn.Linear(2, 2)
    net.two = net.one
    net.tied = net.one.weight
    assert [name for name, _ in net.named_parameters()] == ["tied", "one.bias"]
    assert [name for name, _ in net.named_parameters(remove_duplicate=False)] == [
        "tied",
        "one.weight",
        "one.bias",
        "two.weight",
        "two.bias",
    ]
    assert [name for name, _ in net.named_modules()] == ["", "one"]
    assert [name for name, _ in net.named_children()] == ["one"]
    assert list(net.state_dict()) == ["tied", "one.weight", "one.bias", "two.weight", "two.bias"]


def test_assigning_again_replaces_and_changes_kind() -> None:
    net = Net()
    net.conv = nn.Identity()
    assert [name for name, _ in net.named_parameters()] == ["scale", "body.0.weight", "body.0.bias"]
    net.conv = nn.Parameter(tw.zeros(2))  # a module becomes a parameter
    assert "conv" in net._parameters and "conv" not in net._modules
    net.offset = nn.Linear(1, 1)  # a buffer becomes a module
    assert "offset" not in net._buffers and "offset.weight" in net.state_dict()
    net.note = nn.Parameter(tw.zeros(1))  # a plain attribute becomes a parameter
    assert "note" not in net.__dict__ and "note" in net.state_dict()
    net.scale = None
    assert net.scale is None and "scale" not in net.state_dict()
    net.scratch = tw.ones(3)
    assert net.scratch.sum().item() == 3 and "scratch" not in net.state_dict()
    del net.body
    assert not hasattr(net, "body")
    del net.scratch
    net.scratch = tw.ones(1)
    assert "scratch" in net.__dict__
    del net.scratch
    assert not hasattr(net, "scratch")


@pytest.mark.parametrize(
    ("assign", "message"),
    [
        (
            lambda net: setattr(net, "scale", tw.ones(1)),
            "Net needs its attribute 'scale' to be a Parameter or None. Received: scale with shape (1,) and "
            "dtype float32. Wrap it: nn.Parameter(value).",
        ),
        (
            lambda net: setattr(net, "conv", 3),
            "Net needs its attribute 'conv' to be a Module or None. Received: conv=3.",
        ),
        (
            lambda net: setattr(net, "offset", 0.5),
            "Net needs its attribute 'offset' to be a Tensor or None. Received: offset=0.5.",
        ),
        (
            lambda net: net.register_parameter("w", tw.ones(1)),
            "Net needs parameter 'w' to be a Parameter or None. Received: w "
            "with shape (1,) and dtype float32. "
            "Wrap it: nn.Parameter(value).",
        ),
        (
            lambda net: net.register_buffer("b", [1.0]),
            "Net needs buffer 'b' to be a Tensor or None. Received: b=[1.0].",
        ),
        (
            lambda net: net.add_module("m", "relu"),
            "Net needs child 'm' to be a Module or None. Received: m='relu'.",
        ),
        (
            lambda net: net.register_module(3, nn.ReLU()),
            "Net needs the name of a module to be text. Received: name=3.",
        ),
        (
            lambda net: net.register_buffer("a.b", None),
            "Net needs the name of a buffer to be non-empty and without '.'. Received: name='a.b'. "
            "Dots separate a child's name from its member's in state dicts.",
        ),
        (
            lambda net: net.register_parameter("", None),
            "Net needs the name of a parameter to be non-empty and without '.'. Received: name=''.",
        ),
        (
            lambda net: net.register_buffer("forward", None),
            "Net already has an attribute of the name that is given to a buffer. Received: name='forward'.",
        ),
        (
            lambda net: net.register_buffer("scale", None),
            "Net already has an attribute of the name that is given to a buffer. Received: name='scale'.",
        ),
    ],
)
def test_refuses_what_can_not_be_registered(assign: Any, message: str) -> None:
    net = Net()
    before = list(net.state_dict())
    with pytest.raises(TilewrightError) as error:
        assign(net)
    assert str(error.value).startswith(message)
    assert list(net.state_dict()) == before


def test_says_when_the_base_was_not_initialised() -> None:
    class Early(nn.Module):
        def __init__(self, member: Any) -> None:
            self.member = member

    for member in (nn.ReLU(), nn.Parameter(tw.ones(1))):
        with pytest.raises(StateError) as error:
            Early(member)
        assert str(error.value) == (
            "Early needs to call super().__init__() before its attribute 'member' is assigned."
        )
    early = Early(3)
    with pytest.raises(StateError, match=r"super\(\).__init__\(\) before its attribute 'b' is assigned"):
        early.register_buffer("b", None)
    with pytest.raises(nn.MemberError) as error:
        early(1)
    assert str(error.value) == (
        "Early has no attribute '_forward_hooks'. Its super().__init__() has not been called."
    )


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^Net has no attribute 'convolution'\.$"):
        _ = Net().convolution
    assert not hasattr(Net(), "convolution")


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(StateError) as error:
        nn.Module()(1)
    assert str(error.value) == "Module needs a method forward(self, ...) before it can be called."


def test_members_by_dotted_name() -> None:
    net = Net()
    assert net.get_submodule("") is net
    assert net.get_submodule("body.0") is net.body[0]
    assert net.get_parameter("body.0.bias") is net.body[0].bias
    assert net.get_buffer("offset") is net.offset
    with pytest.raises(
        nn.MemberError, match=r"^Sequential has no child named '7'. Received: target='body.7'.$"
    ):
        net.get_submodule("body.7")
    with pytest.raises(
        nn.MemberError, match=r"^Conv2d has no parameter named 'w'. Received: target='conv.w'.$"
    ):
        net.get_parameter("conv.w")
    with pytest.raises(nn.MemberError, match=r"^Net has no buffer named 'scale'"):
        net.get_buffer("scale")


# State ------------------------------------------------------------------------------------------------


def test_state_dict_is_ordered_and_shares_memory() -> None:
    net = Net()
    state = net.state_dict()
    assert list(state) == ["scale", "offset", *PARAMETERS[1:], *STATISTICS]
    assert not state["scale"].requires_grad
    assert np.shares_memory(state["scale"].numpy(), net.scale.detach().numpy())
    assert net.state_dict(keep_vars=True)["scale"] is net.scale
    assert next(iter(net.state_dict(prefix="net."))) == "net.scale"
    assert state["body.0.num_batches_tracked"].dtype == np.int64
    assert state["body.0.num_batches_tracked"].shape == ()


def test_loading_copies_and_casts() -> None:
    net, other = Net(), Net()
    held = net.scale
    state = {name: value.numpy().astype(np.float64) for name, value in other.state_dict().items()}
    state["body.0.num_batches_tracked"] = np.array(7)
    state["scale"][:] = 3
    assert net.load_state_dict(state) == ([], [])
    assert net.scale is held and held.item() == 3 and held.dtype == np.float32 and held.requires_grad
    assert net.body[0].num_batches_tracked.item() == 7
    state["scale"][:] = 4
    assert held.item() == 3
    result = net.load_state_dict(other.state_dict())
    assert result.missing_keys == [] and result.unexpected_keys == []


def test_loading_lists_every_fault_at_once_and_changes_nothing() -> None:
    net = Net()
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()}
    del state["conv.bias"], state["offset"]
    state["conv.weight"] = np.ones((2, 1, 5, 5))
    state["scale"] = np.ones(())
    state["stranger"] = np.ones(1)
    with pytest.raises(ArgumentError) as error:
        net.load_state_dict(state)
    assert str(error.value) == (
        "Net.load_state_dict needs values for all its keys and no others, each of its own shape; nothing has "
        "been loaded. Received: values of another shape: 'scale' with shape () where (1,) is needed, "
        "'conv.weight' with shape (2, 1, 5, 5) where (2, 1, 3, 3) is needed; missing keys: 'offset', "
        "'conv.bias'; unexpected keys: 'stranger'."
    )
    with pytest.raises(ArgumentError) as error:
        net.load_state_dict(state, strict=False)
    assert str(error.value) == (
        "Net.load_state_dict needs fitting shapes; nothing has been loaded. "
        "Received: values of another shape: "
        "'scale' with shape () where (1,) is needed, 'conv.weight' with "
        "shape (2, 1, 5, 5) where (2, 1, 3, 3) "
        "is needed."
    )
    for name, value in net.state_dict().items():
        assert np.array_equal(value.numpy(), before[name])


def test_loading_what_fits_by_name() -> None:
    net = Net()
    with pytest.raises(ArgumentError, match="With strict=False the keys that both sides have are loaded"):
        net.load_state_dict({"scale": np.array([5.0]), "stranger": np.ones(2)})
    assert net.scale.item() == 1
    result = net.load_state_dict({"scale": np.array([5.0]), "stranger": np.ones(2)}, strict=False)
    assert net.scale.item() == 5
    assert result.unexpected_keys == ["stranger"]
    assert result.missing_keys == ["offset", *PARAMETERS[1:], *STATISTICS]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "Net.load_state_dict needs 'scale' to be an array of numbers; nothing has been loaded."),
        (np.array([None]), "needs 'scale' to be an array of numbers"),
        (
            np.array([1j]),
            "Net.load_state_dict needs 'scale' as float32, without loss of kind; nothing has been",
        ),
    ],
)
def test_loading_refuses_what_is_no_number_of_its_kind(value: Any, message: str) -> None:
    net = Net()
    state = {**net.state_dict(), "scale": value}
    with pytest.raises(DtypeError) as error:
        net.load_state_dict(state)
    assert message in str(error.value)
    counter = {**net.state_dict(), "body.0.num_batches_tracked": np.array(1.5)}
    with pytest.raises(DtypeError, match=r"'body.0.num_batches_tracked' as int64, without loss of kind"):
        net.load_state_dict(counter)
    with pytest.raises(DtypeError, match=r"needs a mapping from names to arrays. Received: state_dict=\[\]"):
        net.load_state_dict([])  # type: ignore[arg-type]


def test_a_backward_notices_that_weights_were_loaded_meanwhile() -> None:
    layer = nn.Linear(2, 2)
    y = layer(tw.ones(1, 2, requires_grad=True)).sum()
    layer.load_state_dict(nn.Linear(2, 2).state_dict())
    with pytest.raises(StateError, match="changed in place"):
        y.backward()


# Modes, conversions, gradients ------------------------------------------------------------------------


def test_train_and_eval_reach_every_module() -> None:
    net = Net()
    assert net.training and net.body[0].training
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert net.train() is net and all(module.training for module in net.modules())
    with pytest.raises(ArgumentError, match=r"^train needs mode to be True or False. Received: mode=1.$"):
        net.train(1)  # type: ignore[arg-type]


def test_conversions_keep_the_objects_and_leave_integers() -> None:
    net = Net()
    held = net.conv.weight
    net(tw.zeros(1, 1, 4, 4)).sum().backward()
    assert net.to(tw.float64) is net
    assert net.conv.weight is held and held.dtype == np.float64 and held.grad.dtype == np.float64
    assert net.offset.dtype == np.float64 and net.scratch.dtype == np.float64
    assert net.body[0].num_batches_tracked.dtype == np.int64
    assert net(tw.zeros(1, 1, 4, 4, dtype=tw.float64)).dtype == np.float64
    assert net.float().scale.dtype == np.float32
    assert net.double().scale.dtype == np.float64
    assert net.to(tw.zeros(1)).scale.dtype == np.float32
    assert net.to("cpu", tw.float64).scale.dtype == np.float64
    assert net.to(device="cpu", dtype="float32", non_blocking=True).scale.dtype == np.float32
    assert net.to("cpu").cpu().scale.dtype == np.float32
    assert net.half().scale.dtype == np.float16


@pytest.mark.parametrize(
    ("convert", "kind", "message"),
    [
        (
            lambda net: net.to("cuda:0"),
            ArgumentError,
            "Net.to knows only the device 'cpu'. Received: device='cuda:0'.",
        ),
        (
            lambda net: net.cuda(),
            ArgumentError,
            "Net.to knows only the device 'cpu'. Received: device='cuda'.",
        ),
        (lambda net: net.cuda(0), ArgumentError, "Net.to knows only the device 'cpu'."),
        (
            lambda net: net.to(tw.int64),
            DtypeError,
            "Net.to needs a floating dtype, such as float32. Received: dtype=dtype('int64').",
        ),
        (lambda net: net.to("float31"), DtypeError, "Net.to needs a floating dtype, such as float32."),
        (
            lambda net: net.to(memory="fast"),
            ArgumentError,
            "Net.to needs a dtype, a device, both, or a Tensor to be like. Received: args=(), memory='fast'.",
        ),
    ],
)
def test_conversions_refuse_other_devices_and_dtypes(
    convert: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as error:
        convert(Net())
    assert str(error.value).startswith(message)


def test_gradients_can_be_forgotten_zeroed_and_switched_off() -> None:
    net = Net()
    net(tw.ones(1, 1, 4, 4)).sum().backward()
    assert net.scale.grad is not None
    net.zero_grad(set_to_none=False)
    assert net.scale.grad is not None and net.scale.grad.item() == 0
    net.zero_grad()
    assert net.scale.grad is None
    assert net.requires_grad_(False) is net
    assert not any(p.requires_grad for p in net.parameters())
    assert not net(tw.ones(1, 1, 4, 4)).requires_grad


def test_a_frozen_part_stays_as_it_is_only_in_evaluation() -> None:
    net = Net()
    head = net.body.requires_grad_(False)
    before = {name: value.numpy().copy() for name, value in head.state_dict().items()}
    optimizer = optim.SGD(net.parameters(), lr=0.5, weight_decay=0.1)

    def step() -> None:
        optimizer.zero_grad()
        net(tw.randn(4, 1, 5, 5)).square().sum().backward()
        optimizer.step()

    net.train()
    head.eval()
    weight = net.conv.weight.detach().numpy().copy()
    step()
    assert not np.array_equal(net.conv.weight.detach().numpy(), weight)
    assert all(np.array_equal(value.numpy(), before[name]) for name, value in head.state_dict().items())
    # Statistics are no parameters: in training they follow the batches, frozen or not.
    net.train()
    step()
    after = {name: value.numpy() for name, value in head.state_dict().items()}
    assert np.array_equal(after["0.weight"], before["0.weight"]) and after["0.num_batches_tracked"] == 1
    assert not np.array_equal(after["0.running_mean"], before["0.running_mean"])


def test_apply_visits_children_first() -> None:
    seen: list[str] = []
    net = Net()
    assert net.apply(lambda module: seen.append(type(module).__name__)) is net
    assert seen == ["Conv2d", "BatchNorm2d", "ReLU", "Sequential", "Net"]


def test_a_copy_is_independent_and_keeps_what_is_shared() -> None:
    net = Net()
    net.tied = net.conv
    twin = copy.deepcopy(net)
    assert twin.tied is twin.conv and twin.conv is not net.conv
    assert type(twin.scale) is nn.Parameter and twin.scale.requires_grad
    with tw.no_grad():
        twin.scale.fill_(9.0)
    assert net.scale.item() == 1
    assert repr(twin) == repr(net)
    assert list(twin.state_dict()) == list(net.state_dict())


# Hooks ------------------------------------------------------------------------------------------------


def test_hooks_see_and_change_input_and_output() -> None:
    layer = nn.Identity()
    calls: list[Any] = []
    first = layer.register_forward_pre_hook(lambda module, args: calls.append(args))
    layer.register_forward_pre_hook(lambda module, args: args[0] + 1)
    layer.register_forward_pre_hook(lambda module, args: (args[0] * 10,))
    layer.register_forward_hook(lambda module, args, output: output + 0.5)
    layer.register_forward_hook(lambda module, args, output: calls.append((args, output)))
    assert layer(1) == 20.5
    assert calls == [(1,), ((20,), 20.5)]
    first.remove()
    first.remove()
    calls.clear()
    assert layer(2) == 30.5 and len(calls) == 1


def test_hooks_can_come_first_and_take_keyword_arguments() -> None:
    net = Net().eval()
    calls: list[str] = []
    net.register_forward_hook(lambda *_: calls.append("second"))
    net.register_forward_hook(lambda *_: calls.append("first"), prepend=True)
    x = tw.zeros(1, 1, 3, 3)
    plain = net(x)
    assert calls == ["first", "second"]
    with net.register_forward_pre_hook(
        lambda module, args, kwargs: (args, {"shift": kwargs["shift"] + 1}), with_kwargs=True
    ):
        seen: list[Any] = []
        net.register_forward_hook(lambda m, a, k, y: seen.append(k), with_kwargs=True)
        moved = net(x, shift=1.0)
    assert_same(moved, plain + 2.0, rtol=0, atol=0, reason="the same two additions")
    assert seen == [{"shift": 2.0}]
    assert np.array_equal(net(x, shift=0.0).detach().numpy(), plain.detach().numpy())


def test_a_hook_may_remove_itself() -> None:
    layer = nn.Identity()
    handle = layer.register_forward_hook(lambda *_: handle.remove())
    assert layer(1) == 1 and layer(1) == 1
    assert not layer._forward_hooks


# Parameter --------------------------------------------------------------------------------------------


def test_parameters_share_memory_and_print_their_name() -> None:
    source = tw.ones(2)
    parameter = nn.Parameter(source)
    assert parameter.requires_grad and parameter.is_leaf and not source.requires_grad
    assert np.shares_memory(parameter.detach().numpy(), source.numpy())
    assert repr(parameter) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    assert type(parameter * 2) is tw.Tensor
    assert nn.Parameter().shape == (0,)
    assert nn.Parameter([1.0, 2.0]).dtype == np.float32
    assert nn.Parameter(np.zeros(3, np.float64)).dtype == np.float64
    assert not nn.Parameter(tw.ones(2), requires_grad=False).requires_grad
    with pytest.raises(DtypeError):
        nn.Parameter(tw.tensor([1, 2]))
    assert nn.Parameter(tw.tensor([1, 2]), requires_grad=False).dtype == np.int64


def test_a_parameter_of_a_calculated_tensor_is_a_leaf() -> None:
    x = tw.ones(2, requires_grad=True)
    assert nn.Parameter(x * 2).is_leaf

"""What has a name of its own on every processor, as LLVM IR."""

from __future__ import annotations

from tilewright.kernel.workers.block import FLOATS, at

# pause        tells the processor that this is a loop that waits: it leaves more to its sibling
# give.floats  puts how the calling thread's arithmetic is set (rounding, and whether numbers next to zero are
#              kept; some libraries change it) into the block
# take.floats  sets this thread's arithmetic in the same way, so that no bit depends on who does a unit
_FRAME = f"""
define internal void @pause() nounwind {{
$PAUSE
  ret void
}}

define internal void @give.floats(ptr %block) nounwind {{
{at("floats", FLOATS)}
$GIVE
  ret void
}}

define internal void @take.floats(ptr %block) nounwind {{
{at("floats", FLOATS)}
$TAKE
  ret void
}}
"""

_X86 = {
    "$PAUSE": "  call void @llvm.x86.sse2.pause()",
    "$GIVE": "  call void @llvm.x86.sse.stmxcsr(ptr %floats)",
    "$TAKE": "  call void @llvm.x86.sse.ldmxcsr(ptr %floats)",
}
_X86_DECLARED = """
declare void @llvm.x86.sse2.pause()
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
"""

_ARM = {
    "$PAUSE": "  call void @llvm.aarch64.hint(i32 1)",
    "$GIVE": "  %now = call i64 @llvm.aarch64.get.fpcr()\n  store i64 %now, ptr %floats",
    "$TAKE": "  %given = load i64, ptr %floats\n  call void @llvm.aarch64.set.fpcr(i64 %given)",
}
_ARM_DECLARED = """
declare void @llvm.aarch64.hint(i32)
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)
"""


def processor(architecture: str) -> str:
    """These three functions for ``x86_64`` or ``aarch64``."""
    bodies, text = (
        (_X86, _X86_DECLARED + _FRAME) if architecture == "x86_64" else (_ARM, _ARM_DECLARED + _FRAME)
    )
    for name, body in bodies.items():
        text = text.replace(name, body)
    return text

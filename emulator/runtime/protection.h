#ifndef EMULATOR_PROTECTION_H
#define EMULATOR_PROTECTION_H

/*
 * Make the machine's memory behave like the board's: QEMU's MPS2 and MPS3 hold "flash" in plain RAM, and the MPS2
 * swallow writes below SRAM. With the memory protection unit a write to flash and a stack that overflows fault.
 */
void protect_memory(void);

#endif

/* A 32-bit program without a library: executes its arguments.
 *
 *	gcc -m32 -O1 -static -nostdlib -ffreestanding -fno-pic -no-pie -o small32 small32.c
 */
void begin(long *stack)
{
	char **list = (char **)(stack + 2);
	long result;

	asm volatile("int $0x80" : "=a"(result) : "a"(11), "b"(list[0]), "c"(list), "d"(0) : "memory");
	asm volatile("int $0x80" : "=a"(result) : "a"(1), "b"(99));
}

asm(".globl _start\n_start: mov %esp, %eax\npush %eax\ncall begin\n");

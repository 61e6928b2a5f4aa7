/* Names of the kernel's constants by table: what Scripts/generate-symbols writes to symbols.c. Constants, so that
 * they cost nothing at start. Sources/Symbols looks things up here. */
#ifndef APUS_SYMBOLS_H
#define APUS_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

enum apus_symbol_kind {
	APUS_ENUM, /* a value has one name */
	APUS_FLAGS, /* names of bits */
};

#define APUS_NO_TABLE 0xffff
#define APUS_NO_SYMBOL 0xffff

struct apus_symbol {
	uint64_t value; /* of an enum as C extends it to 64 bits: -100 is 0xffffffffffffff9c */
	uint32_t name; /* where its name begins in the table's text */
	uint32_t length; /* bytes of the name, which nothing ends */
};

/* Bits of flags that together are one value. */
struct apus_symbol_field {
	uint64_t mask; /* no bit is in two fields of a table */
	uint16_t first; /* its names, sorted by value */
	uint16_t count;
	uint16_t table; /* the table that prints it instead, or APUS_NO_TABLE; never one that leads back here */
};

/* The symbols of a table are, in this order: those of its fields; those that are printed; of flags one for 0; and
 * those that are only looked up by name, as others have their values.
 *
 * Printed ones of an enum are sorted by value. Flags are sorted by their lowest bit, and of those with the same
 * the ones with most bits come first. So names of several bits are tried before those of some of these. */
struct apus_symbol_table {
	const char *name;
	uint16_t name_length;
	uint8_t kind; /* enum apus_symbol_kind */
	const char *text; /* all its names */
	const struct apus_symbol *_Nullable symbols;
	uint16_t count; /* of all symbols */
	uint16_t first; /* the first that is printed and of no field */
	uint16_t end; /* behind the last of these */
	uint16_t zero; /* the one for 0, or APUS_NO_SYMBOL */
	const uint16_t *_Nullable bits; /* of flags the first symbol whose lowest bit is 0, 1 … or higher: 65 */
	const struct apus_symbol_field *_Nullable fields;
	uint16_t leading; /* fields printed before the flags; they come first */
	uint16_t field_count;
};

/* All tables, sorted by name. */
const struct apus_symbol_table *apus_symbol_tables(void);
size_t apus_symbol_table_count(void);

#pragma clang assume_nonnull end

#endif

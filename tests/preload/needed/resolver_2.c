/* A library that needs the symbol. */
int resolved(void);
int call_resolved(void);

int call_resolved(void) { return resolved(); }

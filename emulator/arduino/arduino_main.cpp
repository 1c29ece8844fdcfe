// In a library of its own: linked only into firmware that has no main().

void setup();
void loop();

int main()
{
    setup();
    for (;;) {
        loop();
    }
}

"""The results of a judge: one line for each check, and the failed ones once more at the end."""
passed, failed = 0, []


def check(name, holds, why=""):
    global passed
    if holds:
        passed += 1
        print(f"ok   {name}", flush=True)
    else:
        failed.append(f"FAIL {name}: {str(why)[-600:]}")
        print(failed[-1], flush=True)


def case(name):
    """Decorates a function that is one check, and calls it. An exception in it is a failure, and the next check follows."""
    def call(steps):
        try:
            steps()
        except Exception as error:
            check(name, False, repr(error))
        else:
            check(name, True)
    return call


def finish():
    """Prints the result. Returns the code to exit with."""
    for line in failed:
        print(line)
    print(f"{passed} passed, {len(failed)} failed")
    return int(bool(failed))

"""`tocsin users`: local accounts, for whoever may read the database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from engine import bootstrap
from engine.cli.options import ConfigOption, JsonOption, clock, print_json, print_table, settings_of
from schemas.errors import CommandRejected
from web.accounts import AccountRefused, Accounts, Role, User

app = typer.Typer(no_args_is_help=True, help="Local accounts. 本地用户。")

_OPERATOR = User("command line", "admin")
"""Who acts, as the audit names it: whoever can write the database may do all that an administrator may."""

_WHY = {
    "weak_password": "the password needs 10 characters of 3 kinds, or 16 of any, and not the name",
    "bad_name": "a name has 1 to 64 printable characters, without / : \" ' < >",
    "name_taken": "there is already an account of that name",
}


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="the new account's name")],
    role: Annotated[Role, typer.Option(help="each may do what those before it may")] = "operator",
    password_file: Annotated[
        typer.FileText | None, typer.Option(help="read the password from here instead of asking; - is standard input")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Create an account; asks for its password. 新建用户。"""
    if password_file is not None:
        password = password_file.readline().rstrip("\r\n")
    else:
        password = typer.prompt("Password 密码", hide_input=True, confirmation_prompt=True)
    with _accounts(config) as accounts:
        accounts.add_user(name, password, role, by=_OPERATOR)
    typer.echo(f"{name} may sign in as {role}")


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="whom the token speaks for")],
    label: Annotated[str, typer.Option(help="what it is for")] = "command line",
    config: ConfigOption = None,
) -> None:
    """A new API token for TOCSIN_TOKEN or ~/.config/tocsin/token; it is shown only now. 新建令牌。"""
    with _accounts(config) as accounts:
        user = next((user for user in accounts.users() if user.name == name), None)
        if user is None:
            raise CommandRejected("not_found", f"there is no account named {name}")
        typer.echo(accounts.issue_api_token(user, label))


@app.command("list")
def list_users(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Everybody with an account. 用户列表。"""
    settings = settings_of(config)
    with _accounts(config) as accounts:
        found = accounts.users()
    if as_json:
        print_json([{"name": user.name, "role": user.role, "enabled": user.enabled} for user in found])
        return
    rows = [
        (user.name, user.role, "yes" if user.enabled else "no",
         clock(user.last_sign_in_ms, settings) if user.last_sign_in_ms else "never")
        for user in found
    ]  # fmt: skip
    print_table(("name", "role", "enabled", "last sign-in"), rows)


@contextmanager
def _accounts(config: ConfigOption) -> Iterator[Accounts]:
    """The accounts of the settings' database; a refusal becomes an error that says why."""
    settings = settings_of(config)
    store = bootstrap.open_store(settings)
    try:
        yield bootstrap.open_accounts(settings, store, lambda: time.time_ns() // 1_000_000)
    except AccountRefused as refused:
        raise CommandRejected(refused.code, _WHY.get(refused.code, refused.code)) from refused
    finally:
        store.close()

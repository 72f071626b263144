"use strict";

const login = document.getElementById("login");
const logout = document.getElementById("logout");
const session = document.getElementById("session");
const viewer = document.getElementById("viewer");

const WHO = "iredldap.address";
const MEANINGS = {
  INVALID_CREDENTIALS: "Wrong address or password, or no admin.",
  TOO_MANY_REQUESTS: "Too many logins failed; try again later.",
  API_DISABLED: "The API is switched off.",
};

/* No script can read the cookie, so the tab remembers whose it is until an answer says otherwise. */
function show(message) {
  const address = sessionStorage.getItem(WHO);
  login.hidden = address !== null;
  logout.hidden = address === null;
  session.textContent =
    message || (address === null ? "Log in as an admin to try calls." : `Logged in as ${address}.`);
}

function remember(address) {
  sessionStorage.setItem(WHO, address);
  show();
}

function forget(message) {
  sessionStorage.removeItem(WHO);
  show(message);
}

async function send(form) {
  try {
    const body = new URLSearchParams(new FormData(form));
    return await (await fetch(form.action, { method: "POST", body })).json();
  } catch (error) {
    return { _success: false, _msg: `No answer: ${error.message}` };
  }
}

login.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { _success: done, _msg: code } = await send(login);
  if (!done) {
    show(MEANINGS[code] || code);
    return;
  }
  remember(login.elements.username.value.trim());
  login.reset();
  logout.querySelector("button").focus();
});

logout.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { _success: done, _msg: code } = await send(logout);
  if (done || code === "LOGIN_REQUIRED" || code === "SESSION_EXPIRED") {
    forget();
    login.elements.username.focus();
  } else {
    show(code);
  }
});

/* Calls that are tried below may begin or end the session, or find that it has ended. */
function watch(answer) {
  if (answer.url === login.action) {
    if (answer.ok) remember("whom a call below named");
  } else if (answer.status === 401) {
    forget("The session is over; log in again.");
  } else if (answer.ok && answer.url === logout.action) {
    forget();
  }
  return answer;
}

/* The viewer would fill in every field of a form, and send those it left empty. */
const sendsWhatWasTyped = () => ({
  afterLoad() {
    const sample = this.fn.getSampleSchema;
    this.fn.getSampleSchema = (schema, media, ...rest) =>
      media === false ? String(schema.get("default", "")) : sample(schema, media, ...rest);
  },
  wrapComponents: {
    ParameterIncludeEmpty: (Original, { React }) => (props) =>
      React.createElement(Original, { ...props, isIncludedOptions: {} }),
    /* Choices of which one is required would show the first, and not send it. */
    JsonSchemaForm: (Original, { React }) => (props) =>
      React.createElement(Original, {
        ...props,
        required: props.required && !props.schema.has("enum"),
      }),
  },
});

show();
SwaggerUIBundle({
  url: viewer.dataset.document,
  domNode: viewer,
  deepLinking: true,
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  docExpansion: "none",
  filter: true,
  plugins: [sendsWhatWasTyped],
  responseInterceptor: watch,
  validatorUrl: null,
});
